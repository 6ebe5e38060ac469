"""Unpack the members of ZIP and TAR archives in memory, within limits."""
