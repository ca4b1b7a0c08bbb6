"""Making the views of a dataset folder, and checking its videos."""
