"""Commands for work that several machines share."""
