"""Retrieval quality: data sets, systems, metrics and results."""
