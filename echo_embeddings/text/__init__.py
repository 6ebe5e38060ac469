"""Convert texts to token ids: prompts, tokenizers and batches."""
