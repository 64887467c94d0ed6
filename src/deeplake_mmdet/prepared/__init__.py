"""Prepared images: what a pipeline's first steps make of a row, kept on a local disk or in memory."""
