"""What else a model can be written as: one file per form."""
