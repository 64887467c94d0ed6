"""Commands about machines: what this one has, and work that several share."""
