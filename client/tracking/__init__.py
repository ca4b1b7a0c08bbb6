"""A box followed through a video."""
