"""Processes in which strangers' media are decoded, under a deadline."""
