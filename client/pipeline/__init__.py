"""Videos in, vectors out."""
