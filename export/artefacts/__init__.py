"""From a trained encoder to files that other runtimes read, and the gate between."""
