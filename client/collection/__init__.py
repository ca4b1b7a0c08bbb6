"""An index in Milvus: a collection of clips beside one of videos, asked and kept as a folder is."""
