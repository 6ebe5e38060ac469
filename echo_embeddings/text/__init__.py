"""Prompts, tokens and batches: from texts to token ids."""
