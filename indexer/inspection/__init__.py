"""What an index holds: documents, pages, a map, and integrity checks."""
