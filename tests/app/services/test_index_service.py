"""The service shared by all visitors: the current index, and models that are loaded once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event
from types import SimpleNamespace

import psutil
import pytest
from tiny_models import CHAT_TEMPLATE, llama_config, save_model

from echo_index.app.services import writers
from echo_index.app.services.answer_job import Request, stream_turn
from echo_index.app.services.index_service import OWN_MODEL, IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.encoder_config import EncoderConfig
from echo_index.embeddings.models.bundled import WRITER_MODEL, EmbeddedModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.devices import Device
from echo_index.errors import IndexMissing, ModelError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.inspection.document_queries import list_documents
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.search.retriever import Retriever


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Return the folder for the index."""
    return tmp_path / "index"


@pytest.fixture
def service(index: Path) -> IndexService:
    return IndexService(ServiceOptions(index, device="cpu", index_device="cpu", llms=("openai:gpt-4o-mini",)))


def build(notes: Path, index: Path, encoder: EchoEncoder, *, rebuild: bool = False) -> None:
    build_index([Source.parse(str(notes))], index, encoder=encoder, rebuild=rebuild)


def sources(service: IndexService, question: str = "wizards") -> set[str]:
    return service.with_retriever(lambda retriever: {hit.source for hit in retriever.search(question, k=10)})


def documents(service: IndexService) -> set[str]:
    return {document.path for document in service.with_snapshot(list_documents)}


def test_a_missing_index_raises_until_it_is_built(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    assert service.index_dir == index
    for ask in (sources, documents, IndexService.chat_model):
        with pytest.raises(IndexMissing):
            ask(service)
    build(notes, index, encoder)
    assert sources(service) == documents(service) == {"notes/fox.md"}


def test_a_new_generation_is_searched_and_listed(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    build(notes, index, encoder)
    assert sources(service) == {"notes/fox.md"}
    (notes / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build(notes, index, encoder)
    assert sources(service) == {"notes/fox.md", "notes/vow.md"}


def test_a_new_generation_is_listed_before_anybody_searches(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    build(notes, index, encoder)
    assert documents(service) == {"notes/fox.md"}
    (notes / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build(notes, index, encoder)
    assert documents(service) == {"notes/fox.md", "notes/vow.md"}


def other_encoder(folder: Path) -> EchoEncoder:
    """Return an encoder of another model."""
    config = llama_config(num_hidden_layers=3)
    return EchoEncoder(load_model(str(save_model(folder / "other", config, seed=7, chat_template=CHAT_TEMPLATE))))


def test_an_index_that_was_rebuilt_with_another_model_is_opened_again(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder, tmp_path: Path
) -> None:
    build(notes, index, encoder)
    assert sources(service) == {"notes/fox.md"}
    other = other_encoder(tmp_path)
    (notes / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build(notes, index, other, rebuild=True)
    assert sources(service) == {"notes/fox.md", "notes/vow.md"}
    assert service.with_retriever(lambda retriever: retriever.encoder.fingerprint) == other.fingerprint


@pytest.mark.parametrize("first_call", ["list", "write"])
def test_after_a_rebuild_the_new_model_lists_and_writes(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder, tmp_path: Path, first_call: str
) -> None:
    build(notes, index, encoder)
    service.warm()
    other = other_encoder(tmp_path)
    (notes / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    build(notes, index, other, rebuild=True)
    if first_call == "list":
        assert documents(service) == {"notes/fox.md", "notes/vow.md"}
    writer = service.chat_model()
    assert isinstance(writer, EchoChatModel)
    assert writer.load().name == other.model.name
    assert documents(service) == {"notes/fox.md", "notes/vow.md"}


def test_a_deleted_index_is_missing_again(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    build(notes, index, encoder)
    assert sources(service)
    shutil.rmtree(index)
    with pytest.raises(IndexMissing):
        sources(service)
    build(notes, index, encoder)
    assert sources(service) == {"notes/fox.md"}


def test_it_is_ready_when_the_model_is_loaded(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    build(notes, index, encoder)
    assert not service.ready
    sources(service)
    assert not service.ready, "warm was not called"
    service.warm()
    assert service.ready
    assert service.with_retriever(lambda retriever: retriever._encoder) is not None, "the model is loaded"


def test_it_is_ready_without_an_index(index: Path) -> None:
    notices: list[str] = []
    service = IndexService(ServiceOptions(index), notice=notices.append)
    service.warm()
    assert service.ready
    assert notices == [], "the page shows the remedy"


def test_it_is_ready_without_its_model_and_reports_the_error(notes: Path, index: Path, tmp_path: Path) -> None:
    build(notes, index, other_encoder(tmp_path))
    shutil.rmtree(tmp_path / "other")
    notices: list[str] = []
    service = IndexService(ServiceOptions(index, device="cpu", index_device="cpu"), notice=notices.append)
    service.warm()
    assert service.ready
    assert len(notices) == 1 and str(tmp_path / "other") in notices[0]


def test_a_moved_model_is_loaded_from_its_new_path(notes: Path, index: Path, tmp_path: Path) -> None:
    build(notes, index, other_encoder(tmp_path))
    (tmp_path / "other").rename(tmp_path / "moved")
    service = IndexService(ServiceOptions(index, model=str(tmp_path / "moved"), device="cpu", index_device="cpu"))
    assert sources(service) == {"notes/fox.md"}


def test_the_embedding_model_writes_unless_another_is_named(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(notes, index, encoder)
    own = service.chat_model(OWN_MODEL)
    assert isinstance(own, EchoChatModel)
    assert own.load() is service.with_retriever(lambda retriever: retriever.encoder.model), "the weights are shared"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nothing")
    other = service.chat_model("openai:gpt-4o-mini")
    assert not isinstance(other, EchoChatModel)
    assert service.chat_model("openai:gpt-4o-mini") is other, "it is opened once"


def test_a_writer_is_loaded_before_it_is_asked(notes: Path, index: Path, encoder: EchoEncoder, tmp_path: Path) -> None:
    build(notes, index, encoder)
    other = str(save_model(tmp_path / "other", llama_config(num_hidden_layers=3)))
    told: list[str] = []
    options = ServiceOptions(index, device="cpu", index_device="cpu", writers=(other, "nowhere.gguf"))
    service = IndexService(options, notice=told.append)
    service.warm()
    assert service.ready
    assert [line for line in told if "nowhere.gguf" in line]
    writer = service._chat_models[other]
    assert service.chat_model(other) is writer
    assert isinstance(writer, EchoChatModel)
    assert writer.load().depth == 3


def test_an_offered_writer_is_loaded_when_it_is_chosen(
    notes: Path, index: Path, encoder: EchoEncoder, tmp_path: Path
) -> None:
    build(notes, index, encoder)
    other = str(save_model(tmp_path / "other", llama_config(num_hidden_layers=3)))
    service = IndexService(ServiceOptions(index, device="cpu", index_device="cpu", lazy_writers=(other,)))
    service.warm()
    assert not service._chat_models
    writer = service.chat_model(other)
    assert isinstance(writer, EchoChatModel)
    assert writer.load().depth == 3


@pytest.mark.parametrize("with_adapters", [True, False])
def test_models_write_with_or_without_their_adapters(
    notes: Path, index: Path, encoder: EchoEncoder, tiny_folder: Path, with_adapters: bool
) -> None:
    build(notes, index, encoder)
    options = ServiceOptions(
        index,
        device="cpu",
        index_device="cpu",
        lazy_writers=(str(tiny_folder),),
        with_answer_adapters=with_adapters,
    )
    service = IndexService(options)
    for name in (OWN_MODEL, str(tiny_folder)):
        model = service.chat_model(name)
        assert isinstance(model, EchoChatModel)
        assert model.answer_adapter == ("own" if with_adapters else None)


def test_installed_writers_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    for installed in (False, True):
        monkeypatch.setattr(EmbeddedModel, "is_installed", lambda model, installed=installed: installed)
        assert writers.installed_writers() == ((WRITER_MODEL,) if installed else ())
        assert writers.installed_writers(besides=WRITER_MODEL) == ()


@pytest.mark.parametrize(
    ("model", "installed", "free", "chosen", "reason"),
    [
        ("gemma3-270m", True, 16, WRITER_MODEL, "the best installed writer that fits into the memory"),
        ("gemma3-270m", True, 1.2, None, "needs 3.0 GB of free memory, and 1.2 GB are free"),
        ("gemma3-270m", False, 16, None, "a better writer: pip install 'echo-index[writer]'"),
        ("google/gemma-3-1b-it", True, 16, None, "the model of the index"),
        (WRITER_MODEL, True, 16, None, "the model of the index"),
    ],
)
def test_the_best_writer_that_fits_is_chosen(
    monkeypatch: pytest.MonkeyPatch, model: str, installed: bool, free: float, chosen: str | None, reason: str
) -> None:
    monkeypatch.setattr(EmbeddedModel, "is_installed", lambda model: installed)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free * 1e9)))
    choice = writers.choose_writer({"model": model}, Device("cpu", "asked for"))
    assert choice.name == chosen
    assert reason in choice.reason


def test_the_service_answers_with_the_best_writer_that_it_offers(
    notes: Path, index: Path, encoder: EchoEncoder, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(notes, index, encoder)
    best, asked = str(tiny_folder), []

    def choose(encoder: EncoderConfig, device: Device) -> writers.WriterChoice:
        asked.append((encoder["model"], device.name))
        return writers.WriterChoice(best, "it fits")

    monkeypatch.setattr(writers, "choose_writer", choose)
    options = ServiceOptions(index, device="cpu", index_device="cpu", lazy_writers=(best,))
    service = IndexService(options)
    service.warm()
    assert best in service._chat_models, "it is loaded before it is asked"
    assert service.default_writer == best
    assert asked == [(encoder.model.name, "cpu")]
    written_by = []
    chat_model = service.chat_model
    monkeypatch.setattr(service, "chat_model", lambda name, **how: written_by.append(name) or chat_model(name, **how))
    for writer in (None, OWN_MODEL):
        list(stream_turn(service, Request("Who sleeps?", writer=writer)))
    assert written_by == [best, OWN_MODEL]
    assert IndexService(replace(options, lazy_writers=())).default_writer == OWN_MODEL
    assert IndexService(replace(options, with_answer_adapters=False)).default_writer == OWN_MODEL


def test_the_page_does_not_wait_for_a_writer(
    notes: Path, index: Path, encoder: EchoEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(notes, index, encoder)
    begun, go_on = Event(), Event()

    def slow(*given: object, **named: object) -> None:
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(writers, "local_writer", slow)
    monkeypatch.setattr(writers, "chat_model_of", lambda writer: writer)
    service = IndexService(ServiceOptions(index, device="cpu", index_device="cpu", writers=("slow",)))
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.chat_model, "slow")
        assert begun.wait(60)
        assert sources(service) == {"notes/fox.md"}
        go_on.set()
        asked.result()


@pytest.mark.parametrize("name", ["openai:gpt-4o", "http://evil.example/v1", "OPENAI:gpt-4o-mini"])
def test_visitors_can_only_choose_configured_models(service: IndexService, name: str) -> None:
    with pytest.raises(ModelError, match="is not one of the configured models"):
        service.chat_model(name)


def test_all_visitors_get_the_same_retriever_and_encoder(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder
) -> None:
    build(notes, index, encoder)
    together = Barrier(16)

    def visit(_: int) -> tuple[Retriever, EchoEncoder]:
        together.wait()
        return service.with_retriever(lambda retriever: (retriever, retriever.encoder))

    with ThreadPoolExecutor(16) as pool:
        assert len({(id(retriever), id(loaded)) for retriever, loaded in pool.map(visit, range(16))}) == 1


def test_all_visitors_switch_to_the_rebuilt_index(
    service: IndexService, notes: Path, index: Path, encoder: EchoEncoder, tmp_path: Path
) -> None:
    build(notes, index, encoder)
    sources(service)
    build(notes, index, other_encoder(tmp_path), rebuild=True)
    together = Barrier(16)

    def visit(_: int) -> set[str]:
        together.wait()
        return sources(service)

    with ThreadPoolExecutor(16) as pool:
        assert [*pool.map(visit, range(16))] == [{"notes/fox.md"}] * 16
