"""Frames out of a file: one sequential pass, by decord or PyAV, within limits."""
