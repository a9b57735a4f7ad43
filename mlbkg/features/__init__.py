"""What the classifiers see; each module registers its features."""
