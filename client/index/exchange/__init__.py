"""An index as one Parquet file, vectors included: out of it, and into it."""
