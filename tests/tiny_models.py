"""Small random models in folders, as the hub would give them: real architectures, a real tokenizer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

WORDS = """The quick brown fox jumps over the lazy dog while seven wizards quietly judge my vow.
Rewrite the following paragraph: Find the passage that answers the question. The rewritten paragraph:
Pack my box with five dozen liquor jugs, and write the report before the meeting on Monday."""
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}{{ eos_token }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@cache
def tokenizer_json() -> str:
    """Return a byte-level BPE tokenizer: every text has tokens, every token has text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<bos>", "<eos>", "<|user|>", "<|assistant|>", "<|system|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([WORDS], trainer)
    return tokenizer.to_str()


def save_tokenizer(folder: Path, *, chat_template: str | None = None) -> None:
    """Write the tokenizer as transformers does."""
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(tokenizer_json()), bos_token="<bos>", eos_token="<eos>"
    )
    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)


def save_model(folder: Path, config: Any, *, seed: int = 0, chat_template: str | None = None) -> Path:
    """Write a random model and its tokenizer; the same seed gives the same weights."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:  # gains and biases, which begin as ones and zeros and would hide each other
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    save_tokenizer(folder, chat_template=chat_template)
    return folder


def llama_config(**changes: Any) -> LlamaConfig:
    """Return a Llama with four layers; the weights are large enough for tokens to feel each other."""
    return LlamaConfig(**{**_SIZES, "num_key_value_heads": 2, **changes})


_SIZES: dict[str, Any] = {
    "vocab_size": Tokenizer.from_str(tokenizer_json()).get_vocab_size(),
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "tie_word_embeddings": True,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": None,
}

_UNTIED: dict[str, Any] = {**_SIZES, "tie_word_embeddings": False}  # tied, a random Gemma only repeats its last token


def _rope(kind: str, **settings: float) -> dict[str, Any]:
    return {"rope_theta": 10_000.0, "rope_type": kind, "factor": 4.0, **settings}


# The sliding windows are narrower than any prompt of the tests.
ARCHITECTURES: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2Config(
        **{
            **{name: value for name, value in _SIZES.items() if name in ("vocab_size", "initializer_range")},
            **{"n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 512, "bos_token_id": 0, "eos_token_id": 1},
        }
    ),
    "gpt_neox": lambda: GPTNeoXConfig(**_SIZES),
    "granite, dynamic rope": lambda: GraniteConfig(
        **_SIZES, num_key_value_heads=2, attention_multiplier=0.5, rope_parameters=_rope("dynamic")
    ),
    "llama": llama_config,
    "llama, biases": lambda: llama_config(attention_bias=True, mlp_bias=True),
    "llama, dynamic rope": lambda: llama_config(rope_parameters=_rope("dynamic")),
    "llama, linear rope": lambda: llama_config(rope_parameters=_rope("linear")),
    "llama, llama3 rope": lambda: llama_config(
        rope_parameters=_rope("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
    ),
    "llama, yarn rope": lambda: llama_config(rope_parameters=_rope("yarn", original_max_position_embeddings=64)),
    "mistral": lambda: MistralConfig(**_SIZES, num_key_value_heads=2, sliding_window=8),
    "qwen2": lambda: Qwen2Config(**_SIZES, num_key_value_heads=2),
    "qwen2, windows": lambda: Qwen2Config(
        **_SIZES, num_key_value_heads=2, use_sliding_window=True, sliding_window=8, max_window_layers=2
    ),
    "qwen3": lambda: Qwen3Config(**_SIZES, num_key_value_heads=2, head_dim=8),
    "gemma": lambda: GemmaConfig(**_UNTIED, num_key_value_heads=1, head_dim=16),
    "gemma2": lambda: Gemma2Config(
        **_UNTIED,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=24,
        sliding_window=8,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=3.0,
    ),
    "gemma3": lambda: Gemma3TextConfig(
        **_UNTIED,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=24,
        sliding_window=8,
        sliding_window_pattern=2,
    ),
    "gemma3, linear rope": lambda: Gemma3TextConfig(
        **_UNTIED,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=8,
        sliding_window_pattern=2,
        rope_parameters={
            "full_attention": _rope("linear"),
            "sliding_attention": {"rope_theta": 1_000.0, "rope_type": "default"},
        },
    ),
}
FALL_BACK = {"gpt2", "gpt_neox", "granite, dynamic rope", "llama, dynamic rope"}
"""Those that transformers runs; our layers run all others."""
