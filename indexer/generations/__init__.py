"""Generations of an index: written, committed, recovered and opened."""
