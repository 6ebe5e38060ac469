"""The benchmark of GPUs runs on a CPU, too: each row embeds, and what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import gpu
from benchmarks.gpu import _random_model, _weights_per_token, main
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model


def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    few = ["--texts", "6", "--rounds", "1", "--vectors", "500"]
    main(["--model", str(tiny_folder), "--device", "cpu", "--json", str(out), *few])
    figures = json.loads(out.read_text())
    names = [row["name"] for row in figures["rows"]]
    assert names[:4] == [
        f"{engine}, {precision}, two copies"
        for precision in ("bf16", "fp32")
        for engine in ("echo-index", "transformers")
    ]
    assert all(row["texts_per_second"] > 0 and row["tokens_per_second"] > 6 for row in figures["rows"])
    assert any("FAISS, 500 vectors" in note for note in figures["notes"])
    assert any("pairs/s" in note for note in figures["notes"])
    assert "echo-index, bf16, two copies" in capsys.readouterr().out


def test_a_shape_gives_a_model_that_embeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "head_dim": 16, "vocab_size": 5000}
    for shape in gpu._SHAPES:
        monkeypatch.setitem(gpu._SHAPES, shape, {**gpu._SHAPES[shape], **small})
        model = load_model(str(_random_model(shape, tmp_path / shape)), device="cpu")
        assert model.embeds_natively
        vectors = EchoEncoder(model, precision="bf16").encode_documents(["Which files are read?", "What is a passage?"])
        assert vectors.shape == (2, 32)
        assert not torch.allclose(torch.tensor(vectors[0]), torch.tensor(vectors[1]))


def test_weights_are_counted_up_to_the_layer_that_is_read(tiny_model: LanguageModel) -> None:
    config = tiny_model.decoder_config
    assert config is not None
    heads = (2 * config.heads + 2 * config.key_value_heads) * config.head_dim
    one = config.hidden_size * (heads + 3 * config.intermediate_size)
    assert [_weights_per_token(EchoEncoder(tiny_model, layer=layer)) for layer in (1, 3)] == [one, 3 * one]
