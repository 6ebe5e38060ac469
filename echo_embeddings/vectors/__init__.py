"""Pool hidden states into embeddings, and transform finished embeddings."""
