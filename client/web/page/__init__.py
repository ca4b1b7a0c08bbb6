"""What the browser is given: one page, its style and its programs."""
