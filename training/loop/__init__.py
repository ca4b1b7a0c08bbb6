"""A whole run: pre-training, its `verdict`, then the classifier (`classifiers`), resumable at any step."""
