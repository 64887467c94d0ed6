"""Models and their settings."""
