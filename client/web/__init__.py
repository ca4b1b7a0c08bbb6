"""The index in a browser: a server on this machine, for one person; its `answers`, and the `page` that it gives."""
