"""The index in a browser: a server on this machine, for one person, and the `page` that it gives."""
