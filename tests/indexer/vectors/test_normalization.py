"""The space in which an index compares vectors, and what becomes of a search in it."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.indexer.vectors.normalization import VectorNormalization


@pytest.fixture(scope="module")
def encoder(tiny_model: LanguageModel) -> EchoEncoder:
    return EchoEncoder(tiny_model)


def grown(folder: Path, encoder: EchoEncoder, *, pages: int) -> Snapshot:
    """Return an index of so many pages of one passage each."""
    (folder / "pages").mkdir(exist_ok=True)
    for number in range(pages):
        (folder / f"pages/{number:03}.txt").write_text(
            f"## Page {number} is about the number {number}. It says no more."
        )
    build_index([Source.parse(str(folder / "pages"))], folder / "index", encoder=encoder)
    return open_snapshot(folder / "index")


def test_rows_have_length_one_and_the_mean_is_gone() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) + 5
    centred = center(vectors, vectors.mean(axis=0))
    assert centred.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-6)
    expected = vectors[0] - vectors.mean(axis=0)
    np.testing.assert_allclose(centred[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_a_vector_that_is_the_mean_becomes_zero_and_not_nan() -> None:
    assert center(np.ones((1, 4), np.float32), np.ones(4, np.float32)).tolist() == [[0, 0, 0, 0]]


def test_a_space_is_what_it_was_made_of() -> None:
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.normal(size=(8, 2)))[0].T
    means, kept = generator.normal(size=(2, 8)).astype(np.float32), np.array([0.25, 0.5], np.float32)
    normalization = VectorNormalization.of(means[0], means[1], directions, kept, passages=20)
    vectors = generator.normal(size=(5, 8)).astype(np.float32)
    for compared, mean in (
        (normalization.normalize_documents(vectors), means[0]),
        (normalization.normalize_queries(vectors), means[1]),
    ):
        expected = (vectors - mean) - (vectors - mean) @ directions.T @ np.diag(1 - kept) @ directions
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(compared, expected, atol=2e-3)  # the directions are kept in half precision
        assert compared.dtype == np.float32
    np.testing.assert_allclose(normalization.center_documents(vectors), center(vectors, means[0]), atol=1e-6)
    np.testing.assert_allclose(normalization.center_queries(vectors), center(vectors, means[1]), atol=1e-6)
    assert normalization.dimension == 8
    assert not normalization.is_identity


def test_a_plain_space_leaves_directions_as_they_are() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    plain = VectorNormalization.identity(8, passages=3)
    assert plain.is_identity
    for compared in (plain.normalize_documents(vectors), plain.normalize_queries(vectors)):
        np.testing.assert_allclose(compared, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)


def test_the_mean_of_documents_is_that_of_all_passages(tmp_path: Path, encoder: EchoEncoder) -> None:
    snapshot = grown(tmp_path, encoder, pages=20)
    texts = [f"## Page {number} is about the number {number}. It says no more." for number in range(20)]
    expected = encoder.encode_documents(texts).mean(axis=0)
    np.testing.assert_allclose(mean_of(snapshot.normalization.document_mean), expected, atol=2e-3)


def test_the_mean_of_questions_is_that_of_all_wordings(folder_of_words: Path) -> None:
    encoder = AskedEncoder()
    build(folder_of_words, folder_of_words / "index", encoder)
    normalization = read_manifest(folder_of_words / "index").normalizations.echo
    assert len(encoder.asked) == 3 * 20
    np.testing.assert_allclose(
        mean_of(normalization.query_mean), encoder.encode_documents(encoder.asked).mean(axis=0), atol=1e-6
    )


def test_passages_are_asked_for_by_their_headings_too(tmp_path: Path) -> None:
    text = " ".join(f"The owl number {number} sleeps here." for number in range(40))
    write(tmp_path, owls=f"# Owls\n\n## Where they sleep\n\n{text}\n")
    encoder = AskedEncoder()
    build(tmp_path, tmp_path / "index", encoder)
    first_wordings = encoder.asked[: len(encoder.asked) // 3]
    assert len(first_wordings) >= 16
    assert {*first_wordings} <= {"Owls", "Where they sleep"}


def test_what_the_wording_changes_counts_for_less(folder_of_words: Path) -> None:
    index = folder_of_words / "index"
    build(folder_of_words, index, AskedEncoder())
    with closing((snapshot := open_snapshot(index, index_device="cpu")).catalog):
        vectors = snapshot.catalog.vectors_of(list(snapshot.catalog.chunk_ids(SearchFilter(), generation=1)))
        normalization = snapshot.normalization
        asked = AskedEncoder()
        build(folder_of_words, folder_of_words / "other", asked)
        questions = np.split(normalization.normalize_queries(asked.encode_documents(asked.asked)), 3)
        centred = np.split(normalization.center_queries(asked.encode_documents(asked.asked)), 3)

    def spread(ways: list[np.ndarray]) -> float:
        """How much wordings of one passage differ, beside how much passages differ in one wording."""
        within = np.stack(ways).var(axis=0).sum()
        return float(within / np.stack(ways).var(axis=1).sum())

    assert vectors.shape == (20, 32)
    assert spread(questions) < spread(centred)


def test_of_a_model_with_an_adapter_what_the_wording_changes_is_weakened_less(
    folder_of_words: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Tuned(WordEncoder):
        def config(self) -> dict[str, str | int | None]:
            return {**super().config(), "adapter": "own"}

    normalizations = []
    for encoder in (WordEncoder(), Tuned()):
        index = tmp_path_factory.mktemp("index") / "index"
        build(folder_of_words, index, encoder)
        normalizations.append(read_manifest(index).normalizations)
    plain, tuned = normalizations
    assert plain.classical is not None and tuned.classical is not None
    for without, adapted in ((plain.echo, tuned.echo), (plain.classical, tuned.classical)):
        kept, kept_with = (np.frombuffer(b64decode(each.gains), "<f4") for each in (without, adapted))
        assert kept.shape == kept_with.shape == (8,)
        assert kept_with[0] > kept[0] and np.ptp(kept_with) < np.ptp(kept)


def test_few_passages_have_a_plain_space(tmp_path: Path, encoder: EchoEncoder) -> None:
    normalizations = grown(tmp_path, encoder, pages=15).manifest.normalizations
    assert (
        normalizations.echo.is_identity
        and normalizations.classical is not None
        and normalizations.classical.is_identity
    )


def test_passages_that_say_nothing_have_a_plain_space(tmp_path: Path) -> None:
    write(tmp_path, **{f"note{number}": "=" * (number + 3) + " --- ***\n" for number in range(20)})
    build(tmp_path, tmp_path / "index")
    assert read_manifest(tmp_path / "index").normalizations.echo.is_identity


def test_a_space_stays_until_the_index_has_doubled(tmp_path: Path, encoder: EchoEncoder) -> None:
    assert grown(tmp_path, encoder, pages=10).normalization.passages == 10
    first = grown(tmp_path, encoder, pages=16).manifest.normalizations
    assert first.echo.passages == 16
    assert grown(tmp_path, encoder, pages=31).manifest.normalizations == first
    assert grown(tmp_path, encoder, pages=32).normalization.passages == 32


def test_a_space_is_estimated_anew_where_passages_are_about_other_things(folder_of_words: Path) -> None:
    index = folder_of_words / "index"
    build(folder_of_words, index, WordEncoder())
    first = read_manifest(index).normalizations
    write(folder_of_words, newt="The newt sleeps here. Look for any old newt at night.\n")
    build(folder_of_words, index, WordEncoder())
    assert read_manifest(index).normalizations == first
    write(folder_of_words, **{f"law{number}": f"Paragraph {number} of the statute applies.\n" for number in range(15)})
    build(folder_of_words, index, WordEncoder())
    changed = read_manifest(index)
    assert changed.normalizations != first
    assert changed.chunks == changed.normalizations.echo.passages < 2 * first.echo.passages


def test_a_build_adapts_the_space_to_what_was_left_by_a_removal(folder_of_words: Path) -> None:
    index = folder_of_words / "index"
    animals = sorted(path.name for path in folder_of_words.iterdir())
    write(folder_of_words, **{f"law{number}": f"Paragraph {number} of the statute applies.\n" for number in range(20)})
    build(folder_of_words, index, WordEncoder())
    assert not open_snapshot(index).normalization_has_drifted()
    remove_documents(animals[:2], index)
    assert not open_snapshot(index).normalization_has_drifted()
    remove_documents(animals[2:], index)
    before = open_snapshot(index)
    assert before.normalization_has_drifted()
    build(folder_of_words, index, WordEncoder(patience=0))
    after = open_snapshot(index)
    assert not after.normalization_has_drifted()
    assert (after.normalization.passages, after.manifest.generation) == (20, before.manifest.generation + 1)
    build(folder_of_words, index, WordEncoder(patience=0))
    assert open_snapshot(index).manifest == after.manifest


def test_an_index_gets_the_same_space_in_whatever_order_it_was_filled(tmp_path: Path) -> None:
    names = [f"note{number:02}" for number in range(20)]
    for folder, order in ((tmp_path / "one", names), (tmp_path / "two", names[::-1])):
        for part in (order[:7], order):
            write(
                folder, **{name: f"# Owls\n\nOwl {name} flies at night. It eats {len(name)} mice.\n" for name in part}
            )
            build(folder, folder / ".index")
    one, two = (read_manifest(tmp_path / name / ".index").normalizations for name in ("one", "two"))
    assert one == two


def test_search_compares_in_the_space(tmp_path: Path, encoder: EchoEncoder) -> None:
    snapshot = grown(tmp_path, encoder, pages=20)
    query = encoder.encode_queries(["number seven"])
    found = snapshot.nearest(snapshot.normalization.normalize_query(query[0]), k=20, where=SearchFilter())
    ids, vectors = next(iter(snapshot.catalog.vectors(generation=snapshot.manifest.generation)))
    cosines = snapshot.normalization.normalize_documents(vectors) @ snapshot.normalization.normalize_queries(query)[0]
    assert [identifier for identifier, _ in found] == ids[np.argsort(-cosines)].tolist()
    assert [score for _, score in found] == pytest.approx(sorted(cosines.tolist(), reverse=True), abs=1e-5)


def mean_of(packed: str) -> np.ndarray:
    from base64 import b64decode

    return np.frombuffer(b64decode(packed), "<f4")


class AskedEncoder(WordEncoder):
    """Remembers what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def encode_query_pairs(self, texts, *, instruction=None):  # type: ignore[no-untyped-def]
        self.asked += texts
        return super().encode_query_pairs(texts, instruction=instruction)


@pytest.fixture
def folder_of_words(tmp_path: Path) -> Path:
    animals = (
        "owl fox whale bear crow wolf hare lynx seal mole newt toad duck swan goat mule colt lamb calf pike".split()
    )
    write(
        tmp_path,
        **{name: f"The {name} sleeps here. Look for any {name} at night.\n" for name in animals},
    )
    return tmp_path
