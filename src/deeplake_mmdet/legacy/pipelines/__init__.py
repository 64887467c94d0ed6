"""Pipelines and their transforms."""
