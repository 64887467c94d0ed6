"""Runs in several processes, and workers that are lost."""
