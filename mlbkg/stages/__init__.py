"""One file per command; the only place that glues the folders together."""
