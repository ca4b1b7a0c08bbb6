"""What comes out: model contracts, models to be opened by kind, and the NumPy algorithms on embeddings.

A `contract` says what a model takes and gives, a `repository` where models lie; `local` opens one in this process, and
`server_ports` are those of a server. On whole clips the algorithms are modules of the room; `locating` finds where
actions begin and end, `ranking` says which videos are most alike, `tracking` follows boxes, `videos` makes vectors of
clips of those of a video's blocks.
"""

if __name__ != "cocon.embedding":
    raise ImportError("install the project (make setup) and import this room as 'cocon.embedding'")
