"""Writing a new lake."""
