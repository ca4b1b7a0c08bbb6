"""The index: its `files`, and the `search` of them."""
