"""Checkpoints of other projects' code, made into runs of this one; `published_trunks`: networks of torchvision."""
