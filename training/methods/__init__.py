"""Methods: from a batch to a loss, one file each."""
