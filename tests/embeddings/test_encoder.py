"""EchoEncoder: vectors are independent of batches and threads; settings, fingerprints and errors."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from passes import recorded_batches, recorded_passes
from tiny_models import ARCHITECTURES, llama_config, save_model

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.decoder.precision_check import centered_cosines, sample_texts
from echo_index.embeddings.encoder import EchoEncoder, PrecisionChoice
from echo_index.embeddings.hidden_states import _MAX_PREFIXES
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.echo_prompt import (
    CLASSICAL,
    TUNED_DOCUMENT,
    TUNED_QUERY,
    ZERO_SHOT,
    EchoPrompt,
)
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import PromptError, TextError

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "a",
    "Pack my box with five dozen liquor jugs, and write the report before the meeting on Monday. " * 3,
    "naïve café — 東京 🦊",
    "seven wizards",
]


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """Return the cosine distance in double precision."""
    a, b = one.astype(np.float64), two.astype(np.float64)
    return float(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_vectors_are_float32_unit_rows_of_the_dimension(encoder: EchoEncoder) -> None:
    for vectors in (encoder.encode_documents(TEXTS), encoder.encode_queries(TEXTS)):
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), encoder.dimension) == (5, 32)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(
    companions=st.lists(st.text(min_size=1, max_size=200), max_size=12),
    place=st.integers(0, 12),
    budget=st.sampled_from([1, 300, 2048]),
)
def test_batch_neighbours_do_not_change_a_vector(
    encoder: EchoEncoder, companions: list[str], place: int, budget: int
) -> None:
    text = "write the report before the meeting"
    place = min(place, len(companions))
    batch = [*companions[:place], text, *companions[place:]]
    one_by_one = encoder.encode_documents([text])[0]
    among = EchoEncoder(encoder.model, batch_tokens=budget).encode_documents(batch)[place]
    assert distance(one_by_one, among) <= 1e-5


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("architecture", ["llama", "gemma3"])
def test_batch_neighbours_do_not_change_a_vector_in_any_precision(
    architecture: str, precision: Precision, tmp_path: Path
) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    encoder = EchoEncoder(model, precision=precision)
    texts = [*TEXTS, *sample_texts()]
    for text, vector in zip(texts, encoder.encode_documents(texts), strict=True):
        assert distance(encoder.encode_documents([text])[0], vector) <= (1e-5 if precision is Precision.FP32 else 1e-4)


@pytest.mark.model
def test_batch_neighbours_do_not_change_a_vector_of_the_default_model(gemma: LanguageModel) -> None:
    encoder = EchoEncoder(gemma)
    texts = ["The cat sleeps.", "Invoices are due within thirty days of delivery, net.", "x"]
    together = encoder.encode_documents(texts)
    for text, vector in zip(texts, together, strict=True):
        assert distance(encoder.encode_documents([text])[0], vector) <= 1e-5


@pytest.mark.model
@pytest.mark.parametrize("precision", [Precision.BF16, Precision.INT8])
def test_faster_precisions_of_the_default_model_are_close_to_fp32(gemma: LanguageModel, precision: Precision) -> None:
    exact, encoder = EchoEncoder(gemma), EchoEncoder(gemma, precision=precision)
    texts = sample_texts()[:20]
    vectors = encoder.encode_documents(texts)
    assert 0.98 <= centered_cosines(vectors, exact.encode_documents(texts)).mean() < 1
    for text, vector in zip(texts[:5], vectors, strict=False):
        assert distance(encoder.encode_documents([text])[0], vector) <= 1e-4


@pytest.mark.model
def test_the_default_model_finds_the_passage_that_answers(gemma: LanguageModel) -> None:
    encoder = EchoEncoder(gemma)
    passages = encoder.encode_documents(
        [
            "Bread rises because yeast turns sugar into gas.",
            "The train to Lyon leaves at nine from platform four.",
        ]
    )
    questions = encoder.encode_queries(["Why does dough get bigger?", "When does the train to Lyon leave?"])
    assert (questions @ passages.T).argmax(axis=1).tolist() == [0, 1]


def test_results_are_in_the_order_of_the_texts(encoder: EchoEncoder) -> None:
    alone = np.concatenate([encoder.encode_documents([text]) for text in TEXTS])
    order = list(range(len(TEXTS)))
    random.Random(1).shuffle(order)
    shuffled = EchoEncoder(encoder.model, batch_tokens=300).encode_documents([TEXTS[number] for number in order])
    assert np.allclose(shuffled, alone[order], atol=1e-5)
    assert not np.allclose(alone[0], alone[1], atol=0.01)


def cut(prompt: EchoPrompt) -> EchoPrompt:
    """Return the prompt cut after its first copy, which becomes the only one."""
    return EchoPrompt(prompt.template.partition("{text}")[0] + "{echo}")


def passes_of(act: Callable[[], object]) -> int:
    """Return the number of batches that the model runs during `act`."""
    with recorded_batches() as batches:
        act()
    return len(batches)


@pytest.mark.parametrize("pooling", Pooling)
def test_document_pairs_contain_the_same_vectors(encoder: EchoEncoder, pooling: Pooling) -> None:
    small = EchoEncoder(encoder.model, batch_tokens=300, pooling=pooling)
    batches = list(small.encode_document_pairs(TEXTS))
    assert len(batches) > 1
    assert sorted(position for positions, _ in batches for position in positions) == list(range(len(TEXTS)))
    readings = EmbeddingPair.gather(batches, shape=(len(TEXTS), 32))
    assert np.array_equal(readings.echo, small.encode_documents(TEXTS))


def test_document_pairs_are_computed_batch_by_batch(encoder: EchoEncoder) -> None:
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    batches = EchoEncoder(encoder.model, batch_tokens=1).encode_document_pairs(texts)
    assert passes_of(lambda: next(batches)) <= torch.get_num_threads() + 1


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("layer", [2, 4])
def test_the_classical_embedding_of_an_echo_prompt_is_that_of_the_prompt_cut_before_the_echo(
    tiny_model: LanguageModel, pooling: Pooling, layer: int
) -> None:
    twice = EchoEncoder(
        tiny_model, document_prompt=TUNED_DOCUMENT, query_prompt=TUNED_QUERY, pooling=pooling, layer=layer
    )
    once = twice.with_options(document_prompt=cut(TUNED_DOCUMENT), query_prompt=cut(TUNED_QUERY))
    documents = EmbeddingPair.gather(twice.encode_document_pairs(TEXTS), shape=(len(TEXTS), 32))
    questions = twice.encode_query_pairs(TEXTS, instruction="Find code")
    assert documents.classical is not None and questions.classical is not None
    np.testing.assert_allclose(documents.classical, once.encode_documents(TEXTS), atol=1e-5)
    np.testing.assert_allclose(questions.classical, once.encode_queries(TEXTS, instruction="Find code"), atol=1e-5)
    assert np.array_equal(questions.echo, twice.encode_queries(TEXTS, instruction="Find code"))
    assert documents.classical.dtype == questions.classical.dtype == np.float32


@pytest.mark.model
def test_the_default_model_gives_both_embeddings_in_one_pass(gemma: LanguageModel) -> None:
    encoder = EchoEncoder(gemma, layer=16)
    once = encoder.with_options(document_prompt=cut(encoder.document_prompt), query_prompt=cut(encoder.query_prompt))
    assert once.document_prompt.template == "Rewrite the following paragraph: {echo}"
    texts = ["She loves summer but dislikes the heat.", "Invoices are due within thirty days of delivery, net.", "x"]
    found: list[EmbeddingPair] = []
    assert passes_of(lambda: found.extend(readings for _, readings in encoder.encode_document_pairs(texts))) == 1
    assert passes_of(lambda: found.append(encoder.encode_query_pairs(texts))) == 1
    (positions, documents), *_ = encoder.encode_document_pairs(texts)
    assert documents.classical is not None
    for position, vector in zip(positions, documents.classical, strict=True):
        assert distance(vector, once.encode_documents(texts)[position]) <= 1e-5
    questions = encoder.encode_query_pairs(texts)
    assert questions.classical is not None
    for vector, expected in zip(questions.classical, once.encode_queries(texts), strict=True):
        assert distance(vector, expected) <= 1e-5
    assert distance(questions.classical[0], questions.echo[0]) > 0.01


def test_a_prompt_with_one_copy_has_no_classical_embedding(tiny_model: LanguageModel) -> None:
    once = EchoEncoder(tiny_model, document_prompt=CLASSICAL, query_prompt=CLASSICAL)
    assert once.encode_query_pairs(TEXTS).classical is None
    assert [readings.classical for _, readings in once.encode_document_pairs(TEXTS[:1])] == [None]
    assert np.array_equal(once.encode_query_pairs(TEXTS).echo, once.encode_queries(TEXTS))


def test_no_texts_give_no_vectors(encoder: EchoEncoder) -> None:
    assert encoder.encode_documents([]).shape == (0, 32)
    assert encoder.encode_queries([]).shape == encoder.encode_query_pairs([]).echo.shape == (0, 32)
    assert list(encoder.encode_document_pairs([])) == []


def test_an_empty_text_is_refused_before_anything_is_embedded(encoder: EchoEncoder) -> None:
    told: list[tuple[int, int]] = []
    with pytest.raises(TextError, match="Text 1 of 2 is empty"):
        encoder.encode_documents(["dog", ""], progress=lambda done, total: told.append((done, total)))
    assert told == []


def test_progress_is_reported_after_each_batch(encoder: EchoEncoder) -> None:
    told: list[tuple[int, int]] = []
    one_a_batch = EchoEncoder(encoder.model, batch_tokens=1)
    one_a_batch.encode_documents(TEXTS, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_concurrent_threads_get_the_same_vectors(encoder: EchoEncoder) -> None:
    documents = encoder.encode_documents(TEXTS)
    queries = encoder.encode_queries(TEXTS)
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            (pool.submit(encoder.encode_documents, TEXTS), pool.submit(encoder.encode_queries, TEXTS))
            for _ in range(20)
        ]
        for document_job, query_job in jobs:
            assert np.array_equal(document_job.result(), documents)
            assert np.array_equal(query_job.result(), queries)


def test_a_query_without_an_instruction_uses_that_of_the_encoder(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, query_prompt=TUNED_QUERY, instruction="Find code")
    own = encoder.encode_queries(["fox"])
    assert np.array_equal(own, encoder.encode_queries(["fox"], instruction="Find code"))
    assert distance(own[0], encoder.encode_queries(["fox"], instruction="Find recipes")[0]) > 1e-3
    assert distance(own[0], encoder.encode_queries(["fox"], instruction="")[0]) > 1e-3


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_cached_prefixes_of_instructions_are_not_confused(
    tiny_model: LanguageModel, precision: PrecisionChoice
) -> None:
    encoder = EchoEncoder(tiny_model, query_prompt=TUNED_QUERY, precision=precision)
    tasks = [
        "Find code",
        "Find coda",
        "Find",
        "Find code and recipes",
        "",
        *(f"Task {n}" for n in range(_MAX_PREFIXES)),
    ]
    expected = [encoder.with_options().encode_queries(TEXTS[:2], instruction=task) for task in tasks]
    order = [*range(len(tasks)), *reversed(range(len(tasks))), *range(0, len(tasks), 2)]
    for number in order:
        found = encoder.encode_queries(TEXTS[:2], instruction=tasks[number])
        assert np.allclose(found, expected[number], atol=1e-6), tasks[number]
    documents = encoder.encode_documents(TEXTS)
    assert np.allclose(documents, encoder.with_options().encode_documents(TEXTS), atol=1e-6)
    for one, two in pairwise(expected):
        assert distance(one[0], two[0]) > 1e-4


def test_the_prefix_of_an_instruction_is_cached_until_it_is_evicted(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, query_prompt=TUNED_QUERY)

    def passes_for(task: str) -> int:
        with recorded_passes() as passes:
            encoder.encode_queries(["fox"], instruction=task)
        return len(passes)

    assert [passes_for("first"), passes_for("first")] == [2, 1]
    for number in range(_MAX_PREFIXES - 1):
        assert passes_for(f"Task {number}") == 2
    assert passes_for("first") == 1, "it is the latest again"
    assert passes_for("one too many") == 2
    assert [passes_for("first"), passes_for("Task 1"), passes_for("Task 0")] == [1, 1, 2]


@pytest.mark.parametrize("architecture", ["llama", "gemma3", "gpt2"])
def test_a_prompt_may_begin_with_the_text(architecture: str, tmp_path: Path) -> None:
    folder = save_model(tmp_path, ARCHITECTURES[architecture]())
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>"}), encoding="utf-8")
    model = load_model(str(folder), device="cpu")
    assert model.tokenizer.bos_id is None
    encoder = EchoEncoder(model, document_prompt=EchoPrompt("{text} {echo}"), layer=3)
    with recorded_passes() as passes:
        together = encoder.encode_documents(TEXTS)
    assert len(passes) == (1 if model.uses_native_decoder else 0)
    normalization = model.tokenizer.encode(" ")
    for text, vector in zip(TEXTS, together, strict=True):
        ids = model.tokenizer.encode(text)
        states = model.causal_lm(
            input_ids=torch.tensor([[*ids, *normalization, *ids]]), output_hidden_states=True
        ).hidden_states
        expected = states[3][0, -len(ids) :].mean(dim=0).numpy()
        assert distance(expected, vector) <= 1e-5


def test_an_instruction_without_a_slot_is_refused(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, query_prompt=ZERO_SHOT)
    encoder.encode_queries(["fox"])
    for encode in (encoder.encode_queries, encoder.encode_query_pairs):
        with pytest.raises(PromptError, match=r"has no \{instruction\} slot"):
            encode(["fox"], instruction="Find code")


def test_queries_and_documents_have_their_own_prompts(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, document_prompt=CLASSICAL, query_prompt=ZERO_SHOT)
    swapped = EchoEncoder(tiny_model, document_prompt=ZERO_SHOT, query_prompt=CLASSICAL)
    assert np.array_equal(encoder.encode_documents(TEXTS), swapped.encode_queries(TEXTS))
    assert np.array_equal(encoder.encode_queries(TEXTS), swapped.encode_documents(TEXTS))
    assert distance(encoder.encode_documents(["fox"])[0], encoder.encode_queries(["fox"])[0]) > 1e-3


def test_tokens_beyond_max_tokens_are_ignored(tiny_model: LanguageModel) -> None:
    short = EchoEncoder(tiny_model, max_tokens=4)
    long = EchoEncoder(tiny_model, max_tokens=99)
    texts = ["The quick brown fox jumps", "The quick brown fox jumps over the lazy dog"]
    assert distance(*short.encode_documents(texts)) < 1e-6
    assert distance(*long.encode_documents(texts)) > 1e-3


def test_with_options_changes_only_the_given_settings(tiny_model: LanguageModel) -> None:
    before = EchoEncoder(
        tiny_model, document_prompt=CLASSICAL, pooling="last", layer=3, max_tokens=9, instruction="Find"
    )
    changes: dict[str, tuple[Any, Any]] = {
        "document_prompt": (ZERO_SHOT, ZERO_SHOT.template),
        "query_prompt": (TUNED_QUERY, TUNED_QUERY.template),
        "pooling": ("mean", "mean"),
        "layer": (2, 2),
        "max_tokens": (50, 50),
    }
    for name, (value, described) in changes.items():
        after = before.with_options(**{name: value})
        assert after.model is before.model
        assert after.config() == {**before.config(), name: described}
    assert before.with_options().config() == before.config()


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16"), ("int8", "int8"), (Precision.INT8, "int8")]
)
def test_a_precision_survives_with_options_and_from_config(
    tiny_model: LanguageModel, precision: PrecisionChoice, dtype: str
) -> None:
    encoder = EchoEncoder(tiny_model, precision=precision)
    assert encoder.config()["dtype"] == dtype
    again = EchoEncoder.from_config(encoder.config(), device="cpu")
    for other in (again, encoder.with_options(), encoder.with_options(layer=encoder.layer)):
        assert other.precision is encoder.precision is Precision(precision)
        assert other.fingerprint == encoder.fingerprint
        assert np.array_equal(other.encode_documents(TEXTS), encoder.encode_documents(TEXTS))
    for each in Precision:
        changed = encoder.with_options(precision=each)
        assert changed.precision is each
        assert (changed.fingerprint == encoder.fingerprint) is (each is encoder.precision)


def test_precisions_give_different_vectors(tiny_model: LanguageModel) -> None:
    exact, half, int8 = (EchoEncoder(tiny_model, precision=each).encode_documents(TEXTS) for each in Precision)
    for one, two in ((exact, half), (exact, int8), (half, int8)):
        assert not np.allclose(one, two, atol=1e-4)
        assert centered_cosines(one, two).mean() > 0.98


def test_from_config_returns_the_same_encoder(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(
        tiny_model, document_prompt=CLASSICAL, pooling="last", layer=3, max_tokens=9, instruction="Find"
    )
    again = EchoEncoder.from_config(encoder.config(), device="cpu")
    assert again.fingerprint == encoder.fingerprint
    assert np.allclose(again.encode_documents(TEXTS), encoder.encode_documents(TEXTS), atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"document_prompt": EchoPrompt("Say: {text} {echo}")},
        {"query_prompt": EchoPrompt("Say: {text} {echo}")},
        {"instruction": "Find code"},
        {"pooling": "last"},
        {"layer": 2},
        {"max_tokens": 17},
        {"precision": "bf16"},
        {"precision": "int8"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_settings_that_change_vectors_change_the_fingerprint(encoder: EchoEncoder, change: dict[str, Any]) -> None:
    other = EchoEncoder(encoder.model, **change)
    assert other.fingerprint != encoder.fingerprint
    (difference,) = other.differences(encoder.config())
    assert difference.startswith(f"{next(iter(change)).replace('precision', 'dtype')} was ")


def test_the_size_of_batches_does_not_change_the_fingerprint(encoder: EchoEncoder) -> None:
    assert EchoEncoder(encoder.model, batch_tokens=7).fingerprint == encoder.fingerprint


def test_other_weights_change_the_fingerprint(encoder: EchoEncoder, tmp_path: Path) -> None:
    other = EchoEncoder(load_model(str(save_model(tmp_path, llama_config(), seed=1)), device="cpu"))
    assert other.fingerprint != encoder.fingerprint
    assert any(difference.startswith("weights was ") for difference in other.differences(encoder.config()))


def test_a_model_that_moved_is_the_same_model(encoder: EchoEncoder, tiny_folder: Path, tmp_path: Path) -> None:
    moved = EchoEncoder(load_model(str(shutil.copytree(tiny_folder, tmp_path / "moved")), device="cpu"))
    assert moved.config()["model"] != encoder.config()["model"]
    assert moved.fingerprint == encoder.fingerprint
    assert moved.differences(encoder.config()) == []


def test_the_fingerprint_is_the_same_every_time(encoder: EchoEncoder, tiny_folder: Path) -> None:
    assert EchoEncoder(load_model(str(tiny_folder), device="cpu")).fingerprint == encoder.fingerprint
    assert len(encoder.fingerprint) == 64
