"""Lists of rows that lie near each other: built, measured beside the exact search, kept in a file, and searched."""
