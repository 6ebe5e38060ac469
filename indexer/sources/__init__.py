"""Sources: the folders, files and globs to index, and the scan that finds their files."""
