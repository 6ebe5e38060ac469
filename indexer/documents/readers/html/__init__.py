"""The parts of an HTML page: its source, what of it is seen, its lists, tables and formulas, and the text of them."""
