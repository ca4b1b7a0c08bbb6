"""Clips in several views, from one decoding pass and whatever is stored."""
