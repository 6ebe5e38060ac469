"""The notation of layer views, and embeddings pooled from several views in one pass."""

from __future__ import annotations

import numpy as np
import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text.echo_prompt import CLASSICAL
from echo_index.embeddings.vectors.layer_views import LayerView, TextPass, format_views, parse_views
from echo_index.embeddings.vectors.paired_embeddings import EmbeddingPair
from echo_index.errors import ModelError, PromptError

TEXTS = ["She loves summer but dislikes the heat.", "A whale.", "The train to the coast leaves at five, or six."]


@pytest.mark.parametrize(
    ("written", "views"),
    [
        (16, (LayerView(TextPass.ECHO, 16),)),
        ("16", (LayerView(TextPass.ECHO, 16),)),
        ("text:13", (LayerView(TextPass.TEXT, 13),)),
        ("echo:16 + text:13", (LayerView(TextPass.ECHO, 16), LayerView(TextPass.TEXT, 13))),
        ("2*echo:16+.5*text:13", (LayerView(TextPass.ECHO, 16, weight=2.0), LayerView(TextPass.TEXT, 13, weight=0.5))),
    ],
)
def test_views_are_parsed_and_formatted(written: int | str, views: tuple[LayerView, ...]) -> None:
    assert parse_views(written) == views
    assert parse_views(format_views(views)) == views


def test_the_second_copy_at_one_layer_is_written_as_its_number() -> None:
    assert format_views(parse_views("echo:7")) == 7
    assert format_views(parse_views("text:7")) == "text:7"


@pytest.mark.parametrize("written", ["", "echo", "echo:", "middle:3", "1.5", "3+", "3 4", "3+echo:3", "-1*3", "3+2*3"])
def test_invalid_notation_is_refused_and_quoted(written: str) -> None:
    with pytest.raises(ModelError, match=r"There is no layer|is repeated") as error:
        parse_views(written)
    assert repr(written) in str(error.value)


def test_every_named_layer_must_exist(tiny_model: LanguageModel) -> None:
    with pytest.raises(ModelError, match="there is no layer 0"):
        EchoEncoder(tiny_model, layer="echo:3+text:0")


def test_a_classical_prompt_has_no_view_of_the_first_copy(tiny_model: LanguageModel) -> None:
    with pytest.raises(PromptError, match="has no first copy for text:2"):
        EchoEncoder(tiny_model, document_prompt=CLASSICAL, query_prompt=CLASSICAL, layer="text:2")


def test_views_of_the_first_copy_are_dropped_for_classical_prompts(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, layer="echo:3+0.5*text:2")
    once = encoder.with_options(document_prompt=CLASSICAL, query_prompt=CLASSICAL)
    assert once.layer == 3
    assert encoder.with_options(layer="text:2").with_options(document_prompt=CLASSICAL).layer == 2
    with pytest.raises(PromptError, match="has no first copy"):
        encoder.with_options(document_prompt=CLASSICAL, layer="echo:3+text:2")


@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_several_views_are_added(any_model: LanguageModel, pooling: str) -> None:
    written = ["echo:4", "text:2", "echo:1", "text:4"]
    alone = [EchoEncoder(any_model, layer=view, pooling=pooling).encode_documents(TEXTS) for view in written]
    encoder = EchoEncoder(any_model, layer="echo:4+text:2+0.25*echo:1+2*text:4", pooling=pooling)
    total = alone[0] + alone[1] + 0.25 * alone[2] + 2 * alone[3]
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    assert np.allclose(encoder.encode_documents(TEXTS), expected, atol=1e-5)
    for positions, views in encoder.document_views(TEXTS):
        for found, each in zip(views, alone, strict=True):
            assert np.allclose(found, each[positions], atol=1e-5)


def test_query_views_use_the_query_prompt(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, layer="echo:3+text:2")
    for positions, views in encoder.query_views(TEXTS, instruction="Find it."):
        alone = [
            encoder.with_options(layer=view).encode_queries(TEXTS, instruction="Find it.") for view in ("3", "text:2")
        ]
        for found, each in zip(views, alone, strict=True):
            assert np.allclose(found, each[positions], atol=1e-5)


@pytest.mark.parametrize(("layer", "classical"), [("echo:3+text:2", "text:2"), ("echo:3+echo:2", "text:3")])
def test_the_classical_embedding_is_of_the_first_copy_view_or_the_deepest_layer(
    tiny_model: LanguageModel, layer: str, classical: str
) -> None:
    encoder = EchoEncoder(tiny_model, layer=layer)
    shape = (len(TEXTS), encoder.dimension)
    readings = EmbeddingPair.gather(encoder.encode_document_pairs(TEXTS), shape=shape)
    assert np.allclose(readings.echo, encoder.encode_documents(TEXTS), atol=1e-6)
    assert readings.classical is not None
    assert np.allclose(readings.classical, encoder.with_options(layer=classical).encode_documents(TEXTS), atol=1e-5)


def test_views_are_part_of_the_fingerprint_and_of_the_config(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, layer="echo:3+text:2")
    assert encoder.config()["layer"] == "echo:3+text:2"
    assert encoder.fingerprint != encoder.with_options(layer=3).fingerprint
    again = EchoEncoder.from_config(encoder.config())
    assert again.views == encoder.views
    assert again.fingerprint == encoder.fingerprint
    assert encoder.with_options(layer="echo:3").fingerprint == encoder.with_options(layer=3).fingerprint
