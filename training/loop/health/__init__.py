"""Whether embeddings stay spread out while they are trained, and what is done where they do not."""
