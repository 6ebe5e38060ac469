"""From a model's name to its tokenizer, weights, adapter and profile."""
