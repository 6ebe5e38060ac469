"""Pooling, and the linear algebra of finished embeddings."""
