"""The context of an index: embedded with each passage, kept by later builds, changed for all passages at once."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from indexer_helpers import WordEncoder, build, documents, write

from echo_index.errors import IndexMismatch, TextError
from echo_index.indexer.building.build_documents import index_documents
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.catalog import CATALOG, Catalog
from echo_index.indexer.catalog.index_context import stored_context
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document
from echo_index.indexer.generations import manifest as manifests
from echo_index.indexer.generations.manifest import FORMAT_VERSION, Manifest, read_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.inspection.verify import verify_index
from echo_index.indexer.vectors import normalization
from echo_index.retriever.search.comparison import compare
from echo_index.retriever.search.retriever import Retriever

MUSEUM = "Notes of a museum"
TEXTS = {"ferry": "# Ferry\n\nIt leaves at eight.\n", "loom": "# Loom\n\nHanna Kvist carved it.\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two notes, and an index of them without a context."""
    write(tmp_path / "notes", **TEXTS)
    build(tmp_path / "notes", tmp_path / "index")
    return tmp_path


def rebuilt(folder: Path, encoder: WordEncoder | None = None, **options: Any) -> list[str]:
    """Build the index of a folder, and return what was embedded."""
    encoder = encoder or WordEncoder()
    build(folder / "notes", folder / "index", encoder, **options)
    return sorted(encoder.embedded)


def problems(folder: Path) -> list[str]:
    checks = verify_index(folder / "index", load_encoder=lambda config: WordEncoder())  # type: ignore[arg-type, return-value]
    return [problem for check in checks for problem in check.problems]


def with_prefix(*prefixes: str) -> list[str]:
    """Return the texts of the notes as they are embedded: what is before each, and the passage."""
    texts = [TEXTS[name].strip() for name in sorted(TEXTS)]
    return sorted(f"{prefix}\n{text}" for prefix, text in zip(prefixes, texts, strict=True))


def test_each_passage_is_embedded_below_the_context(tmp_path: Path) -> None:
    write(
        tmp_path / "notes",
        **TEXTS,
        tides="# Sea\n\n## Tides\n\nThey come twice a day, and are\n\nhigher in spring than ever.\n",
    )
    embedded = rebuilt(tmp_path, context=MUSEUM)
    assert embedded == sorted(
        [
            *with_prefix(MUSEUM, MUSEUM),
            f"{MUSEUM} > Tides\n# Sea\n\n## Tides",
            f"{MUSEUM} > Sea\n## Tides\n\nThey come twice a day, and are",
            f"{MUSEUM} > Sea > Tides\nhigher in spring than ever.",
        ]
    )
    assert MUSEUM not in json.dumps(documents(tmp_path / "index")), "what is shown does not carry it"
    assert read_manifest(tmp_path / "index").context == MUSEUM
    assert problems(tmp_path) == []


def test_words_of_the_context_are_not_searched(folder: Path) -> None:
    rebuilt(folder, context=MUSEUM)
    retriever = Retriever.open(folder / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    assert retriever.search("museum", mode="lexical") == []
    [hit] = retriever.search("Kvist", mode="lexical", k=1)
    assert (hit.text, hit.headings, hit.title) == ("# Loom\n\nHanna Kvist carved it.", ("Loom",), "Loom")


def test_passages_that_are_compared_are_embedded_with_it(folder: Path) -> None:
    rebuilt(folder, context=MUSEUM)
    encoder = WordEncoder()
    retriever = Retriever.open(folder / "index", encoder=encoder)  # type: ignore[arg-type]
    assert compare(retriever, "Who carved the loom?").is_among_hits
    assert sorted(encoder.embedded) == with_prefix(MUSEUM, MUSEUM)


def test_without_a_context_nothing_changes(folder: Path) -> None:
    before = (folder / "index/manifest.json").read_bytes()
    assert rebuilt(folder, context="") == [] and rebuilt(folder, context="  ") == []
    assert (folder / "index/manifest.json").read_bytes() == before
    written = json.loads(before)
    assert "context" not in written and written["format_version"] == FORMAT_VERSION == 5
    with closing(Catalog(folder / "index" / CATALOG)) as catalog:
        assert stored_context(catalog) is None


def test_later_builds_keep_it_and_only_another_one_embeds_again(folder: Path) -> None:
    everything = with_prefix(MUSEUM, MUSEUM)
    assert rebuilt(folder, context=MUSEUM) == everything
    assert rebuilt(folder) == rebuilt(folder, context=f" {MUSEUM} ") == []
    write(folder / "notes", kite="# Kite\n\nIt flies.\n")
    assert rebuilt(folder) == [f"{MUSEUM}\n# Kite\n\nIt flies."]
    assert rebuilt(folder, rebuild=True) == sorted([*everything, f"{MUSEUM}\n# Kite\n\nIt flies."])
    assert len(rebuilt(folder, context="Toys")) == 3
    assert read_manifest(folder / "index").context == "Toys"
    assert rebuilt(folder, context="", rebuild=True) == sorted(
        [*(text.strip() for text in TEXTS.values()), "# Kite\n\nIt flies."]
    )
    assert read_manifest(folder / "index").format_version == FORMAT_VERSION
    assert problems(folder) == []


def test_it_is_taken_back(folder: Path) -> None:
    first = read_manifest(folder / "index")
    rebuilt(folder, context=MUSEUM)
    for _ in range(2):  # the vectors without it are forgotten when no reader can see them
        rebuilt(folder, context="Something else")
        rebuilt(folder, context=MUSEUM)
    assert rebuilt(folder, context="") == sorted(text.strip() for text in TEXTS.values())
    last = read_manifest(folder / "index")
    assert (last.context, last.format_version) == ("", first.format_version)
    assert problems(folder) == []


def test_the_vectors_are_those_of_the_context(folder: Path) -> None:
    rebuilt(folder, context=MUSEUM)
    snapshot = open_snapshot(folder / "index", index_device="cpu")
    generation = snapshot.manifest.generation
    with closing(snapshot.catalog) as catalog:
        for ids, vectors in catalog.vectors(generation=generation):
            texts = catalog.embedded_texts_of(ids.tolist(), context=MUSEUM)
            assert sorted(texts) == with_prefix(MUSEUM, MUSEUM)
            assert (vectors * WordEncoder().encode_documents(texts)).sum(axis=1).min() > 0.99
            hashes = {found.chunk.hash for found in catalog.chunks(ids.tolist()).values()}
            assert hashes == {hashlib.sha256(text.encode()).digest() for text in texts}


def test_readers_see_the_old_passages_until_the_build_ends_and_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    write(tmp_path / "notes", **{f"note{number:02}": f"Whale number {number}." for number in range(40)})
    rebuilt(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        rebuilt(tmp_path, WordEncoder(patience=24), context=MUSEUM)
    snapshot = open_snapshot(tmp_path / "index", index_device="cpu")
    assert snapshot.manifest.context == "" and len(documents(tmp_path / "index")) == 40
    assert problems(tmp_path) == []
    encoder = WordEncoder()
    report = build(tmp_path / "notes", tmp_path / "index", encoder)  # the next build need not name it
    assert (report.unchanged, report.changed, report.embedded) == (40, 0, 16)
    assert all(text.startswith(MUSEUM) for text in encoder.embedded)
    assert read_manifest(tmp_path / "index").context == MUSEUM
    assert problems(tmp_path) == []


def test_an_interrupted_change_can_be_taken_back_without_embedding(tmp_path: Path) -> None:
    write(tmp_path / "notes", **{f"note{number:02}": f"Whale number {number}." for number in range(40)})
    rebuilt(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        rebuilt(tmp_path, WordEncoder(patience=24), context=MUSEUM)
    assert rebuilt(tmp_path, context="") == []
    assert read_manifest(tmp_path / "index").context == "" and problems(tmp_path) == []


def test_an_interrupted_rebuild_keeps_the_context_that_it_was_given(tmp_path: Path) -> None:
    write(tmp_path / "notes", **{f"note{number:02}": f"Whale number {number}." for number in range(40)})
    rebuilt(tmp_path, context="Animals")
    with pytest.raises(KeyboardInterrupt):
        rebuilt(tmp_path, WordEncoder(patience=24), context=MUSEUM, rebuild=True)
    assert len(rebuilt(tmp_path, rebuild=True)) == 16
    assert read_manifest(tmp_path / "index").context == MUSEUM and problems(tmp_path) == []


def test_an_unfinished_rebuild_takes_the_context_that_the_index_was_given_meanwhile(tmp_path: Path) -> None:
    write(tmp_path / "notes", **{f"note{number:02}": f"Whale number {number}." for number in range(40)})
    rebuilt(tmp_path)
    for options in ({"rebuild": True}, {"context": MUSEUM}):
        with pytest.raises(KeyboardInterrupt):
            rebuilt(tmp_path, WordEncoder(patience=24), **options)
    embedded = rebuilt(tmp_path, rebuild=True)
    assert len(embedded) == 40 and all(text.startswith(MUSEUM) for text in embedded)
    assert read_manifest(tmp_path / "index").context == MUSEUM and problems(tmp_path) == []


def test_a_change_is_made_to_all_documents_or_to_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no passage is taken for one that has been embedded with a context that it was not embedded with."""

    def fail(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("echo_index.indexer.catalog.row_inserts.add_chunk", fail)
        rebuilt(folder, context=MUSEUM)
    assert rebuilt(folder) == []
    assert read_manifest(folder / "index").context == "" and problems(folder) == []


def test_documents_that_no_source_of_the_build_covers_get_it_too(folder: Path) -> None:
    write(folder / "others", kite="# Kite\n\nIt flies.\n")
    rebuilt(folder)
    build(folder / "others", folder / "index")
    encoder = WordEncoder()
    build(folder / "others", folder / "index", encoder, context=MUSEUM)
    assert sorted(encoder.embedded) == sorted([*with_prefix(MUSEUM, MUSEUM), f"{MUSEUM}\n# Kite\n\nIt flies."])


def test_removals_keep_it(folder: Path) -> None:
    rebuilt(folder, context=MUSEUM)
    remove_documents(["notes/loom.md"], folder / "index")
    manifest = read_manifest(folder / "index")
    assert (manifest.context, manifest.format_version) == (MUSEUM, 6)
    assert problems(folder) == []


def test_an_index_without_passages_takes_one(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/broken.pdf").write_text("no PDF")
    rebuilt(tmp_path)
    rebuilt(tmp_path, context=MUSEUM)
    assert read_manifest(tmp_path / "index").context == MUSEUM


def test_what_the_vectors_have_in_common_is_estimated_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path / "notes", **{f"note{number}": f"# {number}\n\nWhales of kind {number} sing." for number in range(90)}
    )
    rebuilt(tmp_path)
    before = read_manifest(tmp_path / "index").normalizations.echo
    monkeypatch.setattr(normalization.VectorNormalization, "is_far_from", lambda self, mean: False)
    rebuilt(tmp_path, context=MUSEUM)
    after = read_manifest(tmp_path / "index").normalizations.echo
    assert not before.is_identity and before != after


def test_documents_given_as_objects_take_it(tmp_path: Path) -> None:
    encoder = WordEncoder()
    given = [("1", Document("Whales sing.", "Mammals", "text"))]
    for context in (None, MUSEUM, None, ""):
        index_documents(given, tmp_path, encoder=encoder, chunking=Chunking(12, 3), context=context)  # type: ignore[arg-type]
    assert encoder.embedded[:1] == ["Mammals\nWhales sing."]
    assert [text for text in encoder.embedded if text.startswith(MUSEUM)] == [f"{MUSEUM} > Mammals\nWhales sing."]


def test_new_documents_given_as_objects_have_the_hashes_of_what_is_embedded(tmp_path: Path) -> None:
    given = [("1", Document("Whales sing.", "Mammals", "text")), ("2", Document("Bread rises.", "Bread", "text"))]
    for count, context in ((1, MUSEUM), (2, None)):
        index_documents(given[:count], tmp_path / "index", encoder=WordEncoder(), context=context)  # type: ignore[arg-type]
    assert problems(tmp_path) == []


def test_the_vector_file_of_open_readers_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.vectors.index_kind.EXACT_UP_TO", 10)
    write(tmp_path / "notes", **{f"note{number:02}": f"Whale number {number}." for number in range(20)})
    rebuilt(tmp_path)
    rebuilt(tmp_path, context=MUSEUM)
    names = {path.name for path in (tmp_path / "index").glob("*.faiss")}
    assert names == {"vectors-1.faiss", "vectors-2.faiss"}


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("two\nlines", r"The context 'two\\nlines' has the character U\+000A. Write it as one line"),
        ("a\u2028b", r"has the character U\+2028"),
        ("a\x1b[31mb", r"The context 'a\\x1b\[31mb' has the character U\+001B"),
        ("a\x00", r"U\+0000"),
        ("a\udcff", r"U\+DCFF"),
        ("x" * 201, r"The context 'x{40}…' has 201 characters; at most 200 are embedded\. Shorten it\."),
        ("a " * 57, r"has 57 tokens, but only 56 have room before a passage of 200\. Shorten it\."),
    ],
)
def test_a_context_that_cannot_be_one_is_refused_and_nothing_changes(folder: Path, context: str, said: str) -> None:
    before = (folder / "index/manifest.json").read_bytes()
    with pytest.raises(TextError, match=said):
        rebuilt(folder, context=context, chunking=Chunking())
    assert (folder / "index/manifest.json").read_bytes() == before
    assert rebuilt(folder) == []


def test_a_context_may_take_all_of_the_room_before_a_passage(folder: Path) -> None:
    rebuilt(folder, context="a " * 56, chunking=Chunking(), rebuild=True)
    assert read_manifest(folder / "index").context == " ".join("a" * 56)


def test_an_earlier_version_does_not_open_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would embed new passages without the context."""
    rebuilt(folder, context=MUSEUM)
    text = (folder / "index/manifest.json").read_text()
    assert json.loads(text)["format_version"] == 6
    monkeypatch.setattr(manifests, "NEWEST_FORMAT", FORMAT_VERSION)
    with pytest.raises(IndexMismatch, match="has format 6; this version of echo-index reads formats up to 5"):
        Manifest.parse(text, path=folder / "index/manifest.json")


def test_damaged_vectors_are_embedded_again_with_it(folder: Path) -> None:
    rebuilt(folder, context=MUSEUM)
    with closing(Catalog(folder / "index" / CATALOG, write=True)) as catalog, catalog.database.transaction() as writing:
        writing.execute("UPDATE vector_codes SET code = zeroblob(length(code))")
    encoder = WordEncoder()
    verify_index(folder / "index", load_encoder=lambda config: encoder, repair=True)  # type: ignore[arg-type, return-value]
    assert sorted(encoder.embedded) == with_prefix(MUSEUM, MUSEUM)
    assert read_manifest(folder / "index").format_version == 6
    assert problems(folder) == []
