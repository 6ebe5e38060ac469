"""Small random models in folders with the architecture, the tokenizer and the settings of known embedding models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModel, Gemma3TextConfig, MistralConfig, PreTrainedTokenizerFast, Qwen3Config

_TRAINING = """The quick brown fox jumps over the lazy dog while seven wizards quietly judge my vow.
Instruct: Given a web search query, retrieve relevant passages that answer the query
Query:name Query:what Query:what is a fox Query: what Document:What Document again:What Query again:name
Instruct:Retrieve passages that answer the question, question, :name :name :what again:the
Pack my box with five dozen liquor jugs, and write the report before the meeting on Monday. naïve Größe"""
_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
}


def save_qwen3_embedding(folder: Path) -> SentenceTransformer:
    """Write a model like Qwen3-Embedding: its tokenizer appends a token that is not its end-of-sequence token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    _train(tokenizer, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    _append(tokenizer, before=[], after=["<|endoftext|>"])
    config = Qwen3Config(**_SIZES, head_dim=8, tie_word_embeddings=True)
    _save(folder, config, tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    return _sentence_transformer(folder, query="Query:")


def save_harrier(folder: Path) -> SentenceTransformer:
    """Write a model like harrier-oss-v1-270m: a Gemma 3 whose tokenizer adds a token at both ends."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    _train(tokenizer, special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))])
    _append(tokenizer, before=["<bos>"], after=["<eos>"])
    config = Gemma3TextConfig(
        **{**_SIZES, "num_key_value_heads": 1},
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=8,
        sliding_window_pattern=2,
        tie_word_embeddings=True,
    )
    _save(folder, config, tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>", unk_token="<unk>")
    return _sentence_transformer(folder, query="Query: ")


def save_echo_mistral(folder: Path) -> tuple[Any, PreTrainedTokenizerFast]:
    """Write a model like the checkpoints of arXiv 2402.15449; return the model and the tokenizer of transformers."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    _train(tokenizer, special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])
    _append(tokenizer, before=["<s>"], after=[])
    config = MistralConfig(**_SIZES, sliding_window=24, tie_word_embeddings=False)
    _save(folder, config, tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    return AutoModel.from_pretrained(folder).eval(), PreTrainedTokenizerFast.from_pretrained(folder)


def _train(tokenizer: Tokenizer, **options: Any) -> None:
    lines = _TRAINING.replace("\n", " ").split(" ") if tokenizer.pre_tokenizer is None else [_TRAINING]
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=700, show_progress=False, **options))


def _append(tokenizer: Tokenizer, *, before: Sequence[str], after: Sequence[str]) -> None:
    named = {name: tokenizer.token_to_id(name) for name in (*before, *after)}
    tokenizer.post_processor = processors.TemplateProcessing(
        single=" ".join([*before, "$A", *after]), special_tokens=list(named.items())
    )


def _save(folder: Path, config: Any, tokenizer: Tokenizer, **special: str) -> None:
    """Write a model without a language-modeling head, as the hub has these, and its tokenizer."""
    config.vocab_size = tokenizer.get_vocab_size()
    config.pad_token_id = None
    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(0.3 * torch.randn_like(weight))
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)


def _sentence_transformer(folder: Path, *, query: str) -> SentenceTransformer:
    instruction = "Given a web search query, retrieve relevant passages that answer the query"
    body = Transformer(str(folder), processor_kwargs={"padding_side": "left"})
    return SentenceTransformer(
        modules=[body, Pooling(body.get_embedding_dimension(), pooling_mode="lasttoken"), Normalize()],
        prompts={"query": f"Instruct: {instruction}\n{query}", "document": ""},
        device="cpu",
    )
