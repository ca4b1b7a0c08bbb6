"""Pictures and short films of a moment of any file, as browsers show them."""
