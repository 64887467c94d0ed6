"""Files within a zip file or a bucket, under paths like those of any other file."""
