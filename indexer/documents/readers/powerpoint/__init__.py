"""The parts of a presentation: its slides, their shapes, paragraphs, bullets and tables."""
