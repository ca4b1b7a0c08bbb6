"""Training data: data sets and their official lists, sampling, augmentation, batches; `reading` one video of them."""
