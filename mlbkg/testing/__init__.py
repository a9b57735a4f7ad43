"""Contract tests that a new backend subclasses."""
