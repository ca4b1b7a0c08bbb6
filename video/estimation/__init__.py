"""Flow and people, estimated from pictures, and the heat-maps drawn of them."""
