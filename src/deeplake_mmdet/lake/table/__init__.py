"""The annotation table: all boxes, labels, flags and image sizes of a resolved source as flat arrays."""
