"""Candidates with labels, physics weights and folds."""
