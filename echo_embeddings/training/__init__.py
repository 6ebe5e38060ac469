"""Contrastive training of LoRA adapters and linear heads on pairs of texts."""
