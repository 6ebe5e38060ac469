"""One reader a format: bytes in, a Document out. Readers know nothing of paths, of the disk or of each other."""
