"""Retrieval-augmented answers with citations, and the LangChain adapters."""
