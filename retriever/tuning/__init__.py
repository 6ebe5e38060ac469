"""Pairs to tune with: out of files, out of an index, and what looks right in them but is wrong."""
