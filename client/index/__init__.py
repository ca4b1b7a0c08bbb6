"""The index: its `files`, the `search` of them, and what is asked of it, `query`."""
