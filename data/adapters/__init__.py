"""Adapters that come along: a folder for each embedded model that has one, each with its model card."""
