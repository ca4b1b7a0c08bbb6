"""The files of an index: what is written when, and how a reader proves what it reads."""
