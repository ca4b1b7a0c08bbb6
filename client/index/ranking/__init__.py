"""Hits ranked again by the order of what they show, where training videos say that order helps."""
