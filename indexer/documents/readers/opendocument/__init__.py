"""The parts of an OpenDocument file: its source, styles, lists, tables, text and slides."""
