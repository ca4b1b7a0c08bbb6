"""Views that a user made elsewhere."""
