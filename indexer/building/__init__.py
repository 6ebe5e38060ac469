"""Builds: from sources or given documents to a committed generation."""
