"""A whole run: pre-training, watched by `health`, its `verdict`, then the classifier (`classifiers`); all resumable."""
