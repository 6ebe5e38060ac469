"""Workbooks and delimited files: their tables as lines, one for each row."""
