"""Files of the index and of its documents: safe to open, written in one step, locked for one writer."""
