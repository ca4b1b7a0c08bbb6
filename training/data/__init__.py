"""Training data: data sets and their official lists, sampling, augmentation, batches.

`reading` reads one video of them, `stretches` draws from those that are too long to be kept.
"""
