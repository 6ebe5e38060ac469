"""The parts of a document in Rich Text Format (RTF): its text, its paragraphs and tables, and HTML within it."""
