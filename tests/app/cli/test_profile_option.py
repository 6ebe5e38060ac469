"""The option `--profile`: a copy of a known embedding model in a folder, and what such an index can be asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_runner import Run
from embedding_checkpoints import save_qwen3_embedding

from echo_index.app.api.model_names import ANSWER_MODEL, writer_names
from echo_index.app.services import writers
from echo_index.app.services.index_service import OWN_MODEL, IndexService, ServiceOptions
from echo_index.embeddings.models.bundled import DEFAULT_MODEL, WRITER_MODEL, EmbeddedModel
from echo_index.embeddings.models.profiles import find_profile
from echo_index.embeddings.runtime.devices import Device
from echo_index.indexer.generations.manifest import read_manifest

NAME = "qwen3-embedding-0.6b"


@pytest.fixture
def folder(run: Run, tmp_path: Path) -> Path:
    """Return the folder of a copy of a model, below the working folder, beside `notes.md`."""
    save_qwen3_embedding(tmp_path / "models" / "Qwen3-Embedding-0.6B")
    (tmp_path / "notes.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n", encoding="utf-8")
    return Path("models", "Qwen3-Embedding-0.6B")


def settings() -> tuple[str | int | None, ...]:
    encoder = read_manifest(Path(".echo-index")).encoder
    return tuple(encoder[name] for name in ("document_prompt", "query_prompt", "instruction", "pooling", "max_tokens"))


def test_a_copy_takes_the_settings_of_its_profile_and_keeps_them(run: Run, folder: Path) -> None:
    assert run("build", "notes.md", "--model", str(folder), "--profile", NAME, "--precision", "fp32").code == 0
    known = find_profile(NAME)
    expected = known.document.template, known.query.template, known.instruction, "last", known.max_tokens
    assert settings() == expected
    for options in (["--profile", NAME], []):
        again = run("build", "notes.md", "--model", str(folder), *options)
        assert (again.code, again.err) == (0, "")
        assert "1 unchanged" in again.out
    assert settings() == expected
    assert "The quick brown fox" in run("search", "fox").out
    assert run("verify").code == 0
    other = run("build", "notes.md", "--model", str(folder), "--profile", "harrier-oss-v1-270m")
    assert other.code == 1
    assert "was built with other settings: document_prompt was" in other.err


def test_without_a_profile_the_name_of_the_folder_reminds_of_it(run: Run, folder: Path) -> None:
    built = run("build", "notes.md", "--model", str(folder))
    assert built.code == 0
    assert f"may be a copy of Qwen/Qwen3-Embedding-0.6B; if so, add --profile {NAME}" in " ".join(built.err.split())
    assert settings()[3] == "mean"
    named = run("build", "notes.md", "--model", str(folder), "--document-prompt", "{text}", "--rebuild")
    assert "may be a copy" not in named.err


def test_an_unknown_profile_ends_in_one_sentence(run: Run, folder: Path) -> None:
    refused = run("build", "notes.md", "--profile", "qwen3")
    assert refused.code == 1
    assert "There is no profile qwen3: neither a file nor the profile of a known model." in refused.err
    assert NAME in refused.err
    evaluated = run("eval", "notes.md", "--profile", "qwen3")
    assert (evaluated.code, "no profile qwen3" in evaluated.err) == (1, True)


def test_a_model_that_only_embeds_does_not_write(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("build", "notes.md", "--model", str(folder), "--profile", NAME, "--precision", "fp32")
    encoder, device = read_manifest(Path(".echo-index")).encoder, Device("cpu", "asked for")
    monkeypatch.setattr(writers, "_free_bytes", lambda device: 16 * 10**9)
    for installed, chosen in [
        ((), None),
        ([DEFAULT_MODEL], DEFAULT_MODEL),
        ([DEFAULT_MODEL, WRITER_MODEL], WRITER_MODEL),
    ]:
        monkeypatch.setattr(EmbeddedModel, "is_installed", lambda model, names=installed: model.name in names)
        assert writers.choose_writer(encoder, device).name == chosen
        service = IndexService(ServiceOptions(Path(".echo-index"), lazy_writers=writers.installed_writers()))
        assert service.writers == tuple(installed or [OWN_MODEL])
        assert service.default_writer == (chosen or OWN_MODEL)
        assert [*writer_names(service)] == [ANSWER_MODEL, *installed]
    monkeypatch.setattr(EmbeddedModel, "is_installed", lambda model: False)
    refused = run("ask", "Who jumps?")
    assert refused.code == 1
    assert "is trained for embeddings and writes no answers. Name another model for them: --writer" in refused.err
    refused = run("search", "Who jumps?", "--rerank", "1")
    assert (refused.code, "it cannot rerank" in refused.err) == (1, True)
    assert json.loads(run("status", "--json").out)["other_writers"] == []
