"""Runs on a tracking server."""
