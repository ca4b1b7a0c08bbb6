"""Two videos aligned in time."""
