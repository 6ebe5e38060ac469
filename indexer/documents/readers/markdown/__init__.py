"""The parts of a Markdown file: its front matter, what of it is seen, and its tables."""
