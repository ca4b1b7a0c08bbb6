"""The hits of a search as one page that needs nothing else."""
