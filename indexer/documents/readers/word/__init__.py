"""The parts of a Word document: its package, styles, numbers, notes, tables and drawings."""
