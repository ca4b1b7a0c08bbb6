"""Trained encoders whose vectors keep more, or less: of order and of place, without training again."""
