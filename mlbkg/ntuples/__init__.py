"""ROOT in and out."""
