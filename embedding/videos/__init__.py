"""Whole videos: their blocks in rows, several encoders asked as one, and what comes of it for every clip."""
