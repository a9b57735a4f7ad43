"""How good is it, and how sure are we: metrics on weighted, out-of-fold scores."""
