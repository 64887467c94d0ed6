"""Imports by several processes of one machine."""
