"""The SQLite catalog of documents, chunks, vectors and full text."""
