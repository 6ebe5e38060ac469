"""Resolve and load models: weights, tokenizers, adapters and profiles."""
