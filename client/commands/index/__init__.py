"""The commands `client index ...`."""
