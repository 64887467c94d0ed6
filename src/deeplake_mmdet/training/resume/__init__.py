"""Checkpoints, and going on from one as if nothing had happened."""
