"""What is asked of an index: videos, parts of them, vectors from files; and which stored ones may answer."""
