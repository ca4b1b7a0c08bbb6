"""Frames out of a file as a viewer sees them: one sequential pass, within limits."""
