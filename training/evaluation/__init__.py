"""Judging encoders: features, linear probe, retrieval, tables."""
