"""The multi-view store: dataset folders, and the views kept beside their videos."""
