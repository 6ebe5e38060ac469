"""Parts, the shares of the nodes, and what is said when a cluster cannot be used. No cluster runs here."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.errors import DeviceError, EngineError, MissingPackage
from echo_index.indexer.building.document_rows import chunk_rows, document_row
from echo_index.indexer.building.pending_files import PendingFile
from echo_index.indexer.distributed.cluster import connected, share_out, validate_report
from echo_index.indexer.distributed.hash_set import are_in, hash_set
from echo_index.indexer.distributed.node_report import describe_node
from echo_index.indexer.distributed.part_index import PartIndex
from echo_index.indexer.distributed.part_store import PartStore, parts_folder
from echo_index.indexer.distributed.part_table import WorkedDocument
from echo_index.indexer.distributed.work import Outcome, WorkItem, WorkSettings, groups
from echo_index.indexer.distributed.workers import FileWorker, PassageWorker, to_batch
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import readers_version
from echo_index.indexer.exchange.passage_table import COLUMNS
from echo_index.indexer.sources.scanner import FoundFile

NOTHING = hash_set([])


@pytest.fixture
def settings(encoder: EchoEncoder, tmp_path: Path) -> WorkSettings:
    return WorkSettings(
        encoder=encoder.config(),
        fingerprint=encoder.fingerprint,
        chunking=Chunking(64, 8),
        context="",
        readers=readers_version(ocr=True),
        ocr=True,
        classical=True,
        parts=str(tmp_path / "parts"),
        device="cpu",
    )


def worked(text: str, settings: WorkSettings, encoder: EchoEncoder) -> WorkedDocument:
    """Return a document as a node that read it hands it on."""
    document = Document(text, "Whales", "plain")
    row = document_row(document, "whales.txt", "ab" * 32, size=len(text), modified_ns=7)
    chunks = tuple(chunk_rows(document, encoder.token_starts, settings.chunking, context=""))
    return WorkedDocument(settings.document_key("ab" * 32, "whales.txt"), row, chunks)


def write_part(settings: WorkSettings, document: WorkedDocument, *, known: list[bytes]) -> WorkItem:
    """Let a node embed a document and write its part, if the catalog has vectors of some texts."""
    import pickle

    worker = PassageWorker(settings, 1, lambda: hash_set(known))
    [done] = worker(to_batch([WorkItem([document], [Outcome("whales.txt", "part", key=document.key)])]))["item"]
    item = pickle.loads(done)
    assert isinstance(item, WorkItem)
    return item


def test_a_part_holds_passages_as_an_export_does_and_only_new_texts_are_embedded(
    settings: WorkSettings, encoder: EchoEncoder
) -> None:
    import pyarrow.parquet as parquet

    document = worked(" ".join(f"Whale {n} sings in the deep sea." for n in range(40)), settings, encoder)
    first, second, *_ = document.chunks
    assert not write_part(settings, document, known=[first.hash]).trouble
    store = PartStore(settings.parts)
    [name] = store.names()
    table = parquet.read_table(Path(settings.parts) / name)
    assert table.column_names[: len(COLUMNS)] == [*COLUMNS]
    assert table["vector"].null_count == 1
    assert [*Path(settings.parts).iterdir()] == [Path(settings.parts) / name]

    index = PartIndex(store, dimension=encoder.dimension, context="")
    index.refresh()
    assert index.find(document.key) == (document.row, [*document.chunks])
    assert index.find("00" * 32) is None
    positions, pairs = index.vectors([b"x" * 32, second.hash, first.hash])
    assert positions == [1]
    assert pairs.classical is not None and pairs.classical.shape == pairs.echo.shape == (1, encoder.dimension)
    assert np.linalg.norm(pairs.echo) == pytest.approx(1)
    assert are_in([bytes.fromhex(document.key), b"x" * 32], index.keys()).tolist() == [True, False]


def test_a_damaged_part_is_deleted_as_if_it_had_never_been(settings: WorkSettings, encoder: EchoEncoder) -> None:
    document = worked("The whale sings.", settings, encoder)
    write_part(settings, document, known=[])
    [part] = Path(settings.parts).iterdir()
    part.write_bytes(part.read_bytes()[:200])
    index = PartIndex(PartStore(settings.parts), dimension=encoder.dimension, context="")
    index.refresh()
    assert index.find(document.key) is None and not len(index.keys())
    assert not part.exists()


def test_what_decides_about_a_document_is_in_its_key(settings: WorkSettings) -> None:
    others = [
        replace(settings, fingerprint="other"),
        replace(settings, chunking=Chunking(65, 8)),
        replace(settings, context="Whales"),
        replace(settings, readers="other"),
        replace(settings, ocr=False),
        replace(settings, classical=False),
    ]
    keys = {other.document_key("ab", "a.md") for other in (settings, *others)}
    keys |= {settings.document_key("ac", "a.md"), settings.document_key("ab", "a.txt")}
    assert len(keys) == 9
    elsewhere = replace(settings, parts="elsewhere", device="cuda")
    assert elsewhere.document_key("ab", "a.md") == settings.document_key("ab", "a.md")


def test_a_file_that_is_in_a_part_is_not_cut_again(settings: WorkSettings, tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "note.md"
    path.write_text("# Note\n\nThe whale sings.\n")
    pending = PendingFile(FoundFile(path, 24, path.stat().st_mtime_ns, str(path)), "note.md")

    def read(*keys: str) -> WorkItem:
        worker = FileWorker(settings, lambda: hash_set(map(bytes.fromhex, keys)))
        [batch] = worker(to_batch([[pending]]))
        item = pickle.loads(batch["item"][0])
        assert isinstance(item, WorkItem)
        return item

    [document], [outcome] = (first := read()).documents, first.outcomes
    assert (outcome.state, document.chunks[0].text) == ("part", "# Note\n\nThe whale sings.")
    again = read(outcome.key)
    assert again.documents == [] and again.outcomes == [outcome]


def test_a_node_with_another_model_ends_the_build(settings: WorkSettings, encoder: EchoEncoder) -> None:
    document = worked("The whale sings.", settings, encoder)
    item = write_part(replace(settings, fingerprint="other"), document, known=[])
    assert isinstance(item.trouble, EngineError) and "has another model than this machine" in str(item.trouble)
    elsewhere = replace(settings, encoder={**settings.encoder, "model": "/no/such/model"})
    item = write_part(elsewhere, document, known=[])
    assert str(item.trouble).startswith("On the node ") and "/no/such/model" in str(item.trouble)


def test_places_of_parts(tmp_path: Path) -> None:
    index = tmp_path / "a" / ".echo-index"
    assert parts_folder(None, index) == f"{index}/echo-index-parts"
    one, other = (parts_folder("s3://bucket/parts/", folder) for folder in (index, tmp_path / "b"))
    assert one != other and one.startswith("s3://bucket/parts/echo-index-parts-")
    store = PartStore("memory://parts/x")
    store.write("one.parquet", b"1")
    assert store.names() == ["one.parquet"] and store.holds("one.parquet")
    store.delete_all()
    assert store.names() == []
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match=r"cannot be written on .*--parts PLACE"):
        PartStore(str(tmp_path / "file" / "parts")).leave_probe()
    with pytest.raises(EngineError, match="The place nothing://x cannot be opened"):
        PartStore("nothing://x")


def test_what_a_node_says_of_itself(settings: WorkSettings) -> None:
    store = PartStore(settings.parts)
    report = describe_node(settings.parts, store.leave_probe(), True)
    validate_report("10.0.0.2", report, settings)
    unshared = describe_node(settings.parts, "probe-of-another", True)
    for wrong, message in (
        ({"node": "far", "missing": "No module named 'echo_index'"}, "has no echo-index: .*pip install echo-index=="),
        ({**report, "version": "9.9"}, "has echo-index 9.9, this machine"),
        ({**report, "readers": "12"}, "reads files with other readers"),
        (unshared, "does not see the folder .*--parts PLACE"),
        ({**report, "trouble": "It is full."}, "It is full. Name a place"),
    ):
        with pytest.raises(EngineError, match=message):
            validate_report("10.0.0.2", wrong, settings)


def test_the_nodes_are_shared_out(settings: WorkSettings) -> None:
    two = share_out([2, 2], gpus=0, settings=settings)
    assert (two.encoders, two.readers, two.cores, two.device) == (2, 2, 2, "cpu")
    assert two.encoder_cpus + two.reader_cpus == 2, "both have room on one node"
    large = share_out([64, 16, 4], gpus=0, settings=settings)
    assert (large.encoders, large.cores) == (21, 4)
    one = share_out([1], gpus=0, settings=settings)
    assert (one.encoders, one.encoder_cpus + one.reader_cpus) == (1, 1)
    gpus = share_out([32, 32], gpus=8, settings=replace(settings, device="auto"))
    assert (gpus.encoders, gpus.encoder_gpus, gpus.device, gpus.readers) == (8, 1, "cuda", 56)
    int8 = replace(settings, device="auto", encoder={**settings.encoder, "dtype": "int8"})
    assert (share_out([32], gpus=8, settings=int8).device, share_out([32], gpus=8, settings=int8).idle_gpus) == (
        "cpu",
        8,
    )
    with pytest.raises(DeviceError, match="no node of the cluster has a GPU"):
        share_out([32], gpus=0, settings=replace(settings, device="cuda"))


def test_work_is_shared_evenly() -> None:
    files = [PendingFile(FoundFile(Path(f"{n}.md"), size, 0, ""), f"{n}.md") for n, size in enumerate([100] * 40)]
    assert [len(group) for group in groups(files, at_least=10)] == [4] * 10
    assert [piece for group in groups(files, at_least=3) for piece in group] == files
    large = [replace(file, file=replace(file.file, size=2**20)) for file in files]
    assert [len(group) for group in groups(large, at_least=2)] == [1] * 40


def test_nobody_answers_at_the_address() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(EngineError, match=f"No cluster answers at ray://127.0.0.1:{port}: .*ray start --head"),
        connected(f"127.0.0.1:{port}"),
    ):
        pass


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackage, match=r"pip install 'echo-index\[ray\]'"), connected(None):
        pass
