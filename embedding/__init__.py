"""What comes out: the model contract, the `Embedder` protocol, and the NumPy algorithms on embeddings."""

if __name__ != "cocon.embedding":
    raise ImportError("install the project (make setup) and import this room as 'cocon.embedding'")
