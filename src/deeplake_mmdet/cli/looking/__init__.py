"""Commands that show runs and data on pages to look at."""
