"""What comes out: the model contract, the `Embedder` protocol, and the NumPy algorithms on embeddings.

On whole clips these are modules of the room; `locating` finds where actions begin and end, `tracking` follows boxes.
"""

if __name__ != "cocon.embedding":
    raise ImportError("install the project (make setup) and import this room as 'cocon.embedding'")
