"""Contrastive tuning of a language model's echo embeddings by low-rank additions (arXiv 2402.15449, section 5).

Knows texts and pairs of them, and the folder that the adapter is written to; nothing of files of pairs or of indexes.
"""
