"""Measure what a GPU does: embedding beside transformers and sentence-transformers, FAISS on CPU and GPU, training.

    python -m benchmarks.gpu [--model NAME] [--texts N] [--rounds N] [--device cuda|cpu] [--json OUT.json]

`--model shape:gemma3-270m` or `shape:mistral-7b` is a model with random weights of that shape, for machines without
weights: rates do not depend on them. It needs torch, transformers and tokenizers; what else is missing is said.
The rows take turns, and the best round of each counts. It takes about five minutes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from benchmarks.encode.corpus import draw_documents, guide_sentences
from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.weights import tensor_shapes
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.gpu.decoder_check import decoder_agrees, transformers_backend
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.text.batching import batches_by_length

_SHAPE = "shape:"
_SHAPES: dict[str, dict[str, object]] = {
    "gemma3-270m": {
        "model_type": "gemma3_text",
        "hidden_size": 640,
        "intermediate_size": 2048,
        "num_hidden_layers": 18,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "vocab_size": 262_144,
        "sliding_window": 512,
    },
    "mistral-7b": {
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 32_000,
        "sliding_window": None,
    },
}
_WORDS = 4000  # of the tokenizer of a shape: each word of the guide is one token
_PADDED_TOKENS = 32_768  # of a batch of transformers, padding included
_PEAK_SIDE = {"cuda": 8192, "cpu": 1024}
_VECTORS, _QUERIES, _NEAREST = 1_000_000, 256, 10


@dataclass(frozen=True, slots=True)
class Row:
    """The best rates of one way to embed; `share` is that of the peak of a large bfloat16 product in this run."""

    name: str
    texts_per_second: float
    tokens_per_second: float
    share: float


def main(words: Sequence[str] | None = None) -> None:
    """Print the table, and write the figures as JSON if a file is named."""
    given = _arguments(words)
    device = given.device or ("cuda" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}, {given.model}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        path = _random_model(given.model.removeprefix(_SHAPE), folder) if given.model.startswith(_SHAPE) else None
        model = load_model(str(path or given.model), device=device)
        rows, notes = _embedding_rows(model, texts=given.texts, rounds=given.rounds)
        notes += [_search_rates(device, vectors=given.vectors), _training_rate(model, folder)]
    for row in rows:
        rates = f"{row.texts_per_second:10.1f} texts/s {row.tokens_per_second:12.0f} tokens/s"
        print(f"{row.name:40} {rates} {100 * row.share:5.1f} % of the peak")
    print(*notes, sep="\n")
    figures = {"device": name, "model": given.model, "rows": [asdict(row) for row in rows], "notes": notes}
    if given.json is not None:
        given.json.write_text(json.dumps(figures, indent=2), encoding="utf-8")


def _embedding_rows(model: LanguageModel, *, texts: int, rounds: int) -> tuple[list[Row], list[str]]:
    documents = draw_documents(guide_sentences(), model.tokenizer, count=texts)
    encoder = EchoEncoder(model)
    echo_tokens = sum(map(len, encoder.document_tokens(documents)))
    single_tokens = sum(len(encoding.ids) for encoding in model.tokenizer.encode_batch(documents))
    engines: dict[str, tuple[int, Callable[[], object]]] = {}
    notes = []
    for precision in (Precision.BF16, Precision.FP32):
        ours = encoder.with_precision(precision)
        engines[f"echo-index, {precision.value}, two copies"] = (echo_tokens, partial(ours.encode_documents, documents))
        padded = partial(_padded, ours, documents, precision)
        engines[f"transformers, {precision.value}, two copies"] = (echo_tokens, padded)
        if model.device.name == "cuda":
            notes.append(f"{precision.value}: as transformers embeds: {decoder_agrees(model, precision)}")
    if find_spec("sentence_transformers") is None:
        notes.append("sentence-transformers is not installed.")
    else:
        engines["sentence-transformers, bf16, one copy"] = (single_tokens, _sentence_transformers(model, documents))
    seconds = dict.fromkeys(engines, float("inf"))
    for number in range(rounds + 1):
        for name, (_, run) in engines.items():
            elapsed = _seconds(run, model.device.name)
            if number:  # the first round builds and chooses kernels
                seconds[name] = min(seconds[name], elapsed)
    peak = _peak(model.device.name)
    weights = _weights_per_token(encoder)
    return [
        Row(name, len(documents) / seconds[name], tokens / seconds[name], 2 * weights * tokens / seconds[name] / peak)
        for name, (tokens, _) in engines.items()
    ], notes


def _padded(encoder: EchoEncoder, documents: Sequence[str], precision: Precision) -> None:
    """Embed as transformers does: texts of similar length in padded batches, to the layers that are needed."""
    backend = transformers_backend(encoder.model, precision)
    sequences = encoder.document_tokens(documents)
    layer = encoder.deepest_layer

    @torch.inference_mode()
    def run() -> None:
        for positions in batches_by_length([len(tokens) for tokens in sequences], token_budget=_PADDED_TOKENS):
            batch = [sequences[position] for position in positions]
            [states] = backend.span_states(batch, [(layer, [(tokens.start, tokens.end) for tokens in batch])])
            states.mean(dim=0).cpu()

    run_on_executor(run)


def _sentence_transformers(model: LanguageModel, documents: Sequence[str]) -> Callable[[], object]:
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(
        str(model.folder), device=model.device.name, model_kwargs={"dtype": "bfloat16"}, local_files_only=True
    ).eval()
    if peer.tokenizer.pad_token is None:
        peer.tokenizer.pad_token = peer.tokenizer.eos_token
    return partial(peer.encode, list(documents), batch_size=128, show_progress_bar=False)


def _weights_per_token(encoder: EchoEncoder) -> int:
    """Count the weights of the matrices that each token meets, up to the deepest layer."""
    config = encoder.model.decoder_config
    assert config is not None
    layers = (
        (name.split(".")[1], shape) for name, shape in tensor_shapes(config).items() if name.startswith("layers.")
    )
    return sum(
        shape[0] * shape[1] for number, shape in layers if len(shape) == 2 and int(number) < encoder.deepest_layer
    )


def _peak(device: str) -> float:
    """Return the operations a second of the largest product in bfloat16."""
    side = _PEAK_SIDE[device]
    one, two = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = min(_seconds(lambda: one @ two, device) for _ in range(5))
    return 2 * side**3 / best


def _search_rates(device: str, *, vectors: int) -> str:
    """Return a line with the searches a second of FAISS on the CPU and on the GPU."""
    if find_spec("faiss") is None:
        return "FAISS is not installed."
    import faiss

    generator = np.random.default_rng(0)
    stored = generator.standard_normal((vectors, 640), dtype=np.float32)
    queries = generator.standard_normal((_QUERIES, 640), dtype=np.float32)
    flat = faiss.IndexFlatIP(640)
    flat.add(stored)
    on_cpu = _QUERIES / min(_seconds(lambda: flat.search(queries, _NEAREST), "cpu") for _ in range(2))
    if device == "cpu" or not faiss.get_num_gpus():
        return f"FAISS, {vectors} vectors of 640: {on_cpu:.0f} searches/s on the CPU; it has no GPU here."
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    there = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, flat, options)
    on_gpu = _QUERIES / min(_seconds(lambda: there.search(queries, _NEAREST), "cuda") for _ in range(3))
    return f"FAISS, {vectors} vectors of 640: {on_cpu:.0f} searches/s on the CPU, {on_gpu:.0f} on the GPU in float16."


def _training_rate(model: LanguageModel, folder: Path) -> str:
    """Return a line with the pairs a second of training an adapter."""
    missing = [package for package in ("peft", "accelerate") if find_spec(package) is None]
    if missing:
        return f"Training was not measured: {' and '.join(missing)} not installed."
    from echo_index.embeddings.training.pairs import TrainingPair
    from echo_index.embeddings.training.trainer import TuningOptions, tune

    sentences = guide_sentences()
    pairs = [TrainingPair(*two) for two in zip(sentences[::2], sentences[1::2], strict=False)]
    options = TuningOptions(steps=4, batch=64, held_out=0)
    moments = [
        time.perf_counter() for _ in tune(EchoEncoder(model, max_tokens=64), pairs, folder / "a", options=options)
    ]
    steps = np.diff(moments)
    return f"Training: {64 / float(steps.min()):.1f} pairs/s in batches of 64, of up to 64 tokens."


def _seconds(run: Callable[[], object], device: str) -> float:
    began = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _random_model(shape: str, folder: Path) -> Path:
    """Write a model of a shape with random weights in bfloat16, and a tokenizer of the words of the guide."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

    settings = dict(_SHAPES[shape])
    kind = str(settings.pop("model_type"))
    config = AutoConfig.for_model(kind, **settings, max_position_embeddings=8192)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    words = dict.fromkeys(_guide_words())
    known = {word: number for number, word in enumerate(["<bos>", "<eos>", "<unk>", *list(words)[:_WORDS]])}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)
    return folder


def _guide_words() -> Iterator[str]:
    for sentence in guide_sentences():
        yield from sentence.replace(",", " ,").replace(".", " .").split()


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--texts", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vectors", type=int, default=_VECTORS)
    parser.add_argument("--device", choices=("cuda", "cpu"))
    parser.add_argument("--json", type=Path)
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
