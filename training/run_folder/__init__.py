"""The folder of a run: its files, its owner, and beginning from another run."""
