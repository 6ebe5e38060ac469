"""HTTP routes for programs: embeddings, answers, reranking and search, in the forms that other services have."""
