"""Encoded chunks of remote lakes on a local disk."""
