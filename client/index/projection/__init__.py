"""A map of an index: its clips on a plane, computed once and kept."""
