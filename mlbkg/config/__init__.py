"""The YAML of an analysis."""
