"""The configuration of a run: its sections, the methods there are, and how it is read; without torch."""
