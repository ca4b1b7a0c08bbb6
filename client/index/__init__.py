"""The index: its `files`, the `search` of them, what is asked of it, `query`, and what its labels say, a `vote`."""
