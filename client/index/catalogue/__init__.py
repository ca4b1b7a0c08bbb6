"""The catalogue of an index: its tables and records, and what SQLite says of them."""
