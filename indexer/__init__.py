"""Documents in, an index on disk out: scan, read, chunk, embed, store."""
