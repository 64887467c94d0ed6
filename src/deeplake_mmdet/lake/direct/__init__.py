"""Deep Lake's files and objects read without Deep Lake: the only place that knows undocumented bytes."""
