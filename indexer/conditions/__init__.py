"""Conditions on what is known of documents: dates, and fields such as the author."""
