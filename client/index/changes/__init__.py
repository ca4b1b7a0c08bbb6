"""Changing which videos an index has: what is new, known, moved, broken or gone, and what becomes of it."""
