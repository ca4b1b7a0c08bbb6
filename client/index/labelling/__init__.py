"""From no labels to enough: groups of like videos, what to label next, labels, and the manifest to train with."""
