"""Losses as pure functions, one idea per file."""
