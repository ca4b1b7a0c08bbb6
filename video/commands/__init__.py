"""`cocon views`."""
