"""One module per family of shapes; each registers itself in :data:`mlbkg.fitting.base.SHAPES`."""
