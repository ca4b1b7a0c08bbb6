"""Checkpoints of other projects' code, made into runs of this one."""
