"""Calls of Deep Lake made safe: deadlines, retries, one exception family, no work in flight at a fork."""
