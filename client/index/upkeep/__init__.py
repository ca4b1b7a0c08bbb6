"""Keeping an index: is it sound, repair it, make it small, copy it, and take it elsewhere."""
