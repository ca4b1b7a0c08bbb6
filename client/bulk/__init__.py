"""A corpus on many cores or machines: videos to shards of clips with Ray, and shards into an index."""
