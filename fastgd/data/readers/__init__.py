"""Files as sources of blocks: svmlight, Parquet and CSV."""
