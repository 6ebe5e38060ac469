"""The parts of a PDF: its pages and their text, annotations, layers and columns."""
