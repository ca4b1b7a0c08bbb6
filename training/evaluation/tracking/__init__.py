"""Boxes followed by frozen encoders."""
