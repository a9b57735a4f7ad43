"""One file per physics process; each registers itself."""
