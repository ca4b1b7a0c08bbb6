"""The views of a video side by side."""
