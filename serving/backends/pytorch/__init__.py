"""Stand-in for Triton's `pytorch` backend."""
