"""Turn the bytes of a file into a document and its chunks."""
