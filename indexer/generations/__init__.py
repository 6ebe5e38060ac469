"""Generations of an index: commit, recover and open them."""
