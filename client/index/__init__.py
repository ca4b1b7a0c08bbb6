"""The index: catalogue, FAISS, search."""
