"""What the machine offers a training: how many threads, and which precision is faster on it."""
