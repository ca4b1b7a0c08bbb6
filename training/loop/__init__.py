"""A whole run: pre-training, then the classifier, resumable at any step."""
