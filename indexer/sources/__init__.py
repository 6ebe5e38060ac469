"""From folders, files and globs to the files to index."""
