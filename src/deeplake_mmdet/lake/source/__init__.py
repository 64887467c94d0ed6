"""What the user names, and what it was pinned to: versions, branches, queries, views, credentials."""
