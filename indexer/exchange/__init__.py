"""Exchange an index as one Parquet file: write it, and make an index of it again."""
