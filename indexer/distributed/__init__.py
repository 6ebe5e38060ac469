"""Builds on many machines: files are read and embedded on a cluster of Ray, and committed by the ordinary build."""
