"""What a lake's columns are and mean: types, roles, box formats, classes."""
