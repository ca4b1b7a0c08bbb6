"""Classes without training: what the labelled videos of an index say of a query, and whether they can know it."""
