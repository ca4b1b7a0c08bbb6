"""From few labels to many: clusters, what to label next, labels of parts, and a manifest of them."""
