"""The kinds of models that are published."""
