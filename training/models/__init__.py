"""Networks: trunks, aggregator, heads, and the encoder made of them."""
