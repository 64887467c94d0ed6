"""Hooks of our runs."""
