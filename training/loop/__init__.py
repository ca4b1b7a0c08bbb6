"""A whole run: pre-training, then the classifier (`classifiers`), resumable at any step."""
