"""Readers: one module for each document format."""
