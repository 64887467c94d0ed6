"""``data``: datasets, their wrappers, and how they are scored."""
