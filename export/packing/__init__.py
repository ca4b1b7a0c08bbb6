"""`cocon pack`: a run small enough to ship."""
