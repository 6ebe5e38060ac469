"""Measure generated answers against gold answers."""
