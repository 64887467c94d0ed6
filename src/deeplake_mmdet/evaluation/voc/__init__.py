"""Pascal VOC's metric."""
