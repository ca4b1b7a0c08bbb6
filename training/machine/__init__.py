"""What the machine offers a training: how many threads, which precision is faster on it, and memory that is kept."""
