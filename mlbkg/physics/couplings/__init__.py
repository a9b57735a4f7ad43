"""What a limit on a cross section says of a model: one file per model."""
