"""How `predict` works: inputs, the run, and what it writes."""
