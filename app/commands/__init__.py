"""The commands of the command line, some to a file. Each parses its options; the work is done elsewhere."""
