"""The space in which an index compares vectors, and what becomes of a search in it."""

from __future__ import annotations

from base64 import b64decode
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.building.removal import remove_documents
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.generations.manifest import read_manifest
from echo_index.indexer.generations.snapshot import Snapshot, open_snapshot
from echo_index.indexer.sources.source import Source
from echo_index.indexer.text.unrelated_queries import unrelated_queries
from echo_index.indexer.vectors.normalization import VectorNormalization


def grown(folder: Path, encoder: EchoEncoder, *, pages: int) -> Snapshot:
    """Build an index of `pages` documents with one chunk each."""
    (folder / "pages").mkdir(exist_ok=True)
    for number in range(pages):
        (folder / f"pages/{number:03}.txt").write_text(
            f"## Page {number} is about the number {number}. It says no more."
        )
    build_index([Source.parse(str(folder / "pages"))], folder / "index", encoder=encoder)
    return open_snapshot(folder / "index")


def test_centering_subtracts_the_mean_and_returns_unit_rows() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32) + 5
    centred = center(vectors, vectors.mean(axis=0))
    assert centred.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-6)
    expected = vectors[0] - vectors.mean(axis=0)
    np.testing.assert_allclose(centred[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_a_vector_equal_to_the_mean_becomes_zero_and_not_nan() -> None:
    assert center(np.ones((1, 4), np.float32), np.ones(4, np.float32)).tolist() == [[0, 0, 0, 0]]


def test_a_normalization_applies_its_means_directions_and_gains() -> None:
    generator = np.random.default_rng(0)
    directions = np.linalg.qr(generator.normal(size=(8, 2)))[0].T
    means, gains = generator.normal(size=(2, 8)).astype(np.float32), np.array([0.25, 0.5], np.float32)
    normalization = VectorNormalization.of(means[0], means[1], directions, gains, passages=20)
    vectors = generator.normal(size=(5, 8)).astype(np.float32)
    for compared, mean in (
        (normalization.normalize_documents(vectors), means[0]),
        (normalization.normalize_queries(vectors), means[1]),
    ):
        expected = (vectors - mean) - (vectors - mean) @ directions.T @ np.diag(1 - gains) @ directions
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(compared, expected, atol=2e-3)  # directions are stored in half precision
        assert compared.dtype == np.float32
    np.testing.assert_allclose(normalization.center_documents(vectors), center(vectors, means[0]), atol=1e-6)
    np.testing.assert_allclose(normalization.center_queries(vectors), center(vectors, means[1]), atol=1e-6)
    assert normalization.dimension == 8
    assert not normalization.is_identity


def test_the_identity_normalization_only_scales_to_unit_length() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    plain = VectorNormalization.identity(8, passages=3)
    assert plain.is_identity
    for compared in (plain.normalize_documents(vectors), plain.normalize_queries(vectors)):
        np.testing.assert_allclose(compared, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-6)


def test_the_document_mean_is_that_of_all_chunks(tmp_path: Path, encoder: EchoEncoder) -> None:
    snapshot = grown(tmp_path, encoder, pages=20)
    texts = [f"## Page {number} is about the number {number}. It says no more." for number in range(20)]
    expected = encoder.encode_documents(texts).mean(axis=0)
    np.testing.assert_allclose(mean_of(snapshot.normalization.document_mean), expected, atol=2e-3)


def test_the_query_mean_is_that_of_all_synthetic_queries(folder_of_words: Path) -> None:
    encoder = QueryRecordingEncoder()
    build(folder_of_words, folder_of_words / "index", encoder)
    normalization = read_manifest(folder_of_words / "index").normalizations.echo
    synthetic = encoder.queries[: 3 * 20]  # those that follow have nothing to do with the index
    np.testing.assert_allclose(
        mean_of(normalization.query_mean), encoder.encode_documents(synthetic).mean(axis=0), atol=1e-6
    )


def test_synthetic_queries_include_headings(tmp_path: Path) -> None:
    text = " ".join(f"The owl number {number} sleeps here." for number in range(40))
    write(tmp_path, owls=f"# Owls\n\n## Where they sleep\n\n{text}\n")
    encoder = QueryRecordingEncoder()
    build(tmp_path, tmp_path / "index", encoder)
    synthetic = encoder.queries[: -len(unrelated_queries([text], languages=["english"], rng=Random(0)))]
    first_variants = synthetic[: len(synthetic) // 3]
    assert len(first_variants) >= 16
    assert {*first_variants} <= {"Owls", "Where they sleep"}


def test_differences_in_phrasing_are_attenuated(folder_of_words: Path) -> None:
    index = folder_of_words / "index"
    build(folder_of_words, index, QueryRecordingEncoder())
    with closing((snapshot := open_snapshot(index, index_device="cpu")).catalog):
        vectors = snapshot.catalog.vectors_of(list(snapshot.catalog.chunk_ids(SearchFilter(), generation=1)))
        normalization = snapshot.normalization
        recorder = QueryRecordingEncoder()
        build(folder_of_words, folder_of_words / "other", recorder)
        questions = np.split(normalization.normalize_queries(recorder.encode_documents(recorder.queries)), 3)
        centred = np.split(normalization.center_queries(recorder.encode_documents(recorder.queries)), 3)

    def spread(ways: list[np.ndarray]) -> float:
        """Return the variance of the synthetic queries of one chunk relative to that between chunks."""
        within = np.stack(ways).var(axis=0).sum()
        return float(within / np.stack(ways).var(axis=1).sum())

    assert vectors.shape == (20, 32)
    assert spread(questions) < spread(centred)


def test_differences_in_phrasing_are_attenuated_less_for_a_model_with_an_adapter(
    folder_of_words: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    class Tuned(WordEncoder):
        def config(self) -> dict[str, str | int | None]:
            return {**super().config(), "adapter": "own"}

    normalizations = []
    for encoder in (WordEncoder(), Tuned()):
        index = tmp_path_factory.mktemp("index") / "index"
        build(folder_of_words, index, encoder, compare=True)
        normalizations.append(read_manifest(index).normalizations)
    plain, tuned = normalizations
    assert plain.classical is not None and tuned.classical is not None
    for without, adapted in ((plain.echo, tuned.echo), (plain.classical, tuned.classical)):
        gains, tuned_gains = (np.frombuffer(b64decode(each.gains), "<f4") for each in (without, adapted))
        assert gains.shape == tuned_gains.shape == (8,)
        assert tuned_gains[0] > gains[0] and np.ptp(tuned_gains) < np.ptp(gains)


def test_few_chunks_have_the_identity_normalization(tmp_path: Path, encoder: EchoEncoder) -> None:
    normalizations = grown(tmp_path, encoder, pages=15).manifest.normalizations
    assert (
        normalizations.echo.is_identity
        and normalizations.classical is not None
        and normalizations.classical.is_identity
    )


def test_chunks_without_words_have_the_identity_normalization(tmp_path: Path) -> None:
    write(tmp_path, **{f"note{number}": "=" * (number + 3) + " --- ***\n" for number in range(20)})
    build(tmp_path, tmp_path / "index")
    assert read_manifest(tmp_path / "index").normalizations.echo.is_identity


def test_a_normalization_is_reused_until_the_index_has_doubled(tmp_path: Path, encoder: EchoEncoder) -> None:
    assert grown(tmp_path, encoder, pages=10).normalization.passages == 10
    first = grown(tmp_path, encoder, pages=16).manifest.normalizations
    assert first.echo.passages == 16
    assert grown(tmp_path, encoder, pages=31).manifest.normalizations == first
    assert grown(tmp_path, encoder, pages=32).normalization.passages == 32


def test_a_normalization_is_estimated_again_after_drift(folder_of_words: Path) -> None:
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


def test_a_build_estimates_the_normalization_again_after_a_large_removal(folder_of_words: Path) -> None:
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


def test_the_normalization_does_not_depend_on_the_order_of_builds(tmp_path: Path) -> None:
    names = [f"note{number:02}" for number in range(20)]
    for folder, order in ((tmp_path / "one", names), (tmp_path / "two", names[::-1])):
        for part in (order[:7], order):
            write(
                folder, **{name: f"# Owls\n\nOwl {name} flies at night. It eats {len(name)} mice.\n" for name in part}
            )
            build(folder, folder / ".index")
    one, two = (read_manifest(tmp_path / name / ".index").normalizations for name in ("one", "two"))
    assert one == two


def test_search_uses_the_normalization(tmp_path: Path, encoder: EchoEncoder) -> None:
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


class QueryRecordingEncoder(WordEncoder):
    """Records the queries that it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[str] = []

    def encode_query_pairs(self, texts, *, instruction=None):  # type: ignore[no-untyped-def]
        self.queries += texts
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
