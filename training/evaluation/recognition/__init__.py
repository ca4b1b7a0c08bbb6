"""Whole videos: linear probe, classifier and retrieval, per view and fused."""
