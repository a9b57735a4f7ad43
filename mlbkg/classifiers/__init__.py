"""Gradient-boosted classifiers behind one contract; one file per backend."""
