"""Boxes followed through a video by feature maps."""
