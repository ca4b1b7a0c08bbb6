"""Training data: the generator of figure videos, dataset folders, augmentation, batches."""
