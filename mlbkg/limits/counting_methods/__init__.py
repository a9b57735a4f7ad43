"""Methods for the limit of a counting experiment, one file each."""
