"""SQLite, files and locks."""
