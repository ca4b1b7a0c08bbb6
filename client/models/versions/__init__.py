"""Which versions of models a server offers, what each says of itself, and whether it still is the same."""
