"""Compute echo embeddings: a causal language model reads a text twice, and its second reading is pooled into a vector.

The method of "Repetition Improves Language Model Embeddings" (arXiv 2402.15449), for any causal model that
transformers can load.
"""
