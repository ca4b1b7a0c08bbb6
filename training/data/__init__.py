"""Training data: data sets and their official lists, sampling, augmentation, batches.

`preparation` is what is done with a data set before, `reading` reads one video of it, `stretches` draws from those that
are too long to be kept.
"""
