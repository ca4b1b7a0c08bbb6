"""The part of a picture that a model looks at where it follows people: where they are, and the window around them."""
