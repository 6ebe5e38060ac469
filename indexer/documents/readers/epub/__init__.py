"""The parts of an electronic book: its package, table of contents and chapters."""
