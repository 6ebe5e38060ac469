"""Dense, lexical and hybrid search, reranking and highlighting."""
