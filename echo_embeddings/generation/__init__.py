"""Text generation and query likelihood with the embedding model."""
