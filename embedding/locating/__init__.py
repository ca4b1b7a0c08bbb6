"""Where actions begin and end: boundary models, proposals, and what is left of them."""
