"""Tokens, pooled positions and vectors equal those of the paper's reference implementation."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from repository import FIXTURES

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.hidden_states import HiddenStateExtractor
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text.batching import batches_by_length
from echo_index.embeddings.text.echo_prompt import CLASSICAL, TUNED_DOCUMENT, TUNED_QUERY, ZERO_SHOT
from echo_index.embeddings.text.prompt_tokens import EchoTokens, PromptTokenizer
from echo_index.embeddings.vectors.pooling import Pooling, pool

pytestmark = pytest.mark.model

PROMPTS = {"query": TUNED_QUERY, "document": TUNED_DOCUMENT, "zeroshot": ZERO_SHOT, "classical": CLASSICAL}
UNLIMITED = 1_000_000


@pytest.fixture(scope="module")
def cases() -> list[dict[str, Any]]:
    read: list[dict[str, Any]] = json.loads((FIXTURES / "golden.json").read_text(encoding="utf-8"))["cases"]
    return read


def assemble(model: LanguageModel, case: dict[str, Any]) -> EchoTokens:
    tokenizer = PromptTokenizer(model.tokenizer, max_tokens=case["max_length"] or UNLIMITED)
    return tokenizer.assemble(PROMPTS[case["template"]], [case["text"]], instruction=case["instruction"])[0]


def test_the_token_ids_are_those_of_the_reference(smollm: LanguageModel, cases: list[dict[str, Any]]) -> None:
    assert len(cases) == 128
    assert {case["key"]: list(assemble(smollm, case).ids) for case in cases} == {
        case["key"]: case["input_ids"] for case in cases
    }


def test_the_pooled_positions_are_those_of_the_reference(smollm: LanguageModel, cases: list[dict[str, Any]]) -> None:
    for case in cases:
        tokens = assemble(smollm, case)
        pooled = [int(tokens.start <= position < tokens.end) for position in range(len(tokens))]
        assert pooled == case["pool_mask"], case["key"]


def test_the_pooled_states_are_those_of_the_reference(smollm: LanguageModel, cases: list[dict[str, Any]]) -> None:
    engine = HiddenStateExtractor(smollm, layers=[smollm.depth])
    sequences = list({tokens.ids: tokens for tokens in (assemble(smollm, case) for case in cases)}.values())
    hidden = {}  # each sequence goes through the model once; several cases pool it, each in its way
    for positions in batches_by_length([len(tokens) for tokens in sequences], token_budget=512):
        batch = [sequences[position] for position in positions]
        [states] = engine.span_states(batch, (smollm.depth, [(tokens.fixed, len(tokens)) for tokens in batch]))
        each = states.split([len(tokens) - tokens.fixed for tokens in batch])
        hidden.update({tokens.ids: of_one for tokens, of_one in zip(batch, each, strict=True)})
    cosines = {}
    for case, expected in zip(cases, np.load(FIXTURES / "golden.npz")["vectors"], strict=True):
        tokens = assemble(smollm, case)
        span = hidden[tokens.ids][tokens.start - tokens.fixed : tokens.end - tokens.fixed]
        vector = pool(span, [len(span)], Pooling(case["pooling"]))[0].numpy()
        cosines[case["key"]] = float(vector @ expected / np.linalg.norm(expected))
    assert len(cosines) == 128
    assert {key: cosine for key, cosine in cosines.items() if cosine < 0.9999} == {}


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_the_encoder_gives_the_vectors_of_the_reference(
    smollm: LanguageModel, cases: list[dict[str, Any]], pooling: str
) -> None:
    encoder = EchoEncoder(
        smollm,
        document_prompt=TUNED_DOCUMENT,
        query_prompt=TUNED_QUERY,
        pooling=pooling,
        layer=smollm.causal_lm.config.num_hidden_layers,
        max_tokens=16,
    )
    expected = np.load(FIXTURES / "golden.npz")["vectors"]
    for template in ("document", "query"):
        members = [
            number
            for number, case in enumerate(cases)
            if (case["template"], case["pooling"], case["max_length"]) == (template, pooling, 16)
        ][:2]
        texts = [cases[number]["text"] for number in members]
        if template == "document":
            vectors = encoder.encode_documents(texts)
        else:
            vectors = encoder.encode_queries(texts, instruction=cases[members[0]]["instruction"])
        cosines = [float(v @ expected[n] / np.linalg.norm(expected[n])) for n, v in zip(members, vectors, strict=True)]
        assert len(cosines) == 2
        assert min(cosines) >= 0.9999
