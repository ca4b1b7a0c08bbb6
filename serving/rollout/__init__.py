"""Which versions a running server serves: promoted and rolled back without a lost request."""
