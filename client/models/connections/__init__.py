"""How servers are reached: by which certificates and keys, and what is wrong with those of the other side."""
