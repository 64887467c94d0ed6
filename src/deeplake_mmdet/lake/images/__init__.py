"""Encoded images and masks as they leave a lake."""
