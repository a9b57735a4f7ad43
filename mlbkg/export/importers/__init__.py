"""Other programs' model files as forests: one file per program."""
