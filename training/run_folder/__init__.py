"""The folder of a run: opened once, owned by one configuration; and beginning from another run."""
