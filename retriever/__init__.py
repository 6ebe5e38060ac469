"""Queries in, hits and answers out."""
