"""Vectors like those of a query: exactly, or through `lists` that are measured against the exact search."""
