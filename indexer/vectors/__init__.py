"""FAISS indexes and the normalization of the vectors in them."""
