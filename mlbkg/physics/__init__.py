"""Pure formulae on numbers and arrays: no I/O, no configuration."""
