"""What all vectors of an index have in common, and what becomes of a search without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from echo_embeddings import EchoEncoder, LanguageModel, remove_mean
from indexer import Snapshot, Source, build_index, open_snapshot
from indexer.means import mean_vector


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
    centred = remove_mean(vectors, vectors.mean(axis=0))
    assert centred.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(centred, axis=1), 1, atol=1e-6)
    expected = vectors[0] - vectors.mean(axis=0)
    np.testing.assert_allclose(centred[0], expected / np.linalg.norm(expected), atol=1e-6)


def test_a_vector_that_is_the_mean_becomes_zero_and_not_nan() -> None:
    assert remove_mean(np.ones((1, 4), np.float32), np.ones(4, np.float32)).tolist() == [[0, 0, 0, 0]]


def test_the_mean_of_documents_is_that_of_all_passages(tmp_path: Path, encoder: EchoEncoder) -> None:
    snapshot = grown(tmp_path, encoder, pages=20)
    texts = [f"## Page {number} is about the number {number}. It says no more." for number in range(20)]
    expected = encoder.encode_documents(texts).mean(axis=0)
    np.testing.assert_allclose(mean_vector(snapshot.manifest.means.document), expected, atol=2e-3)


def test_the_mean_of_questions_is_that_of_first_sentences_as_questions(tmp_path: Path, encoder: EchoEncoder) -> None:
    snapshot = grown(tmp_path, encoder, pages=20)
    questions = [f"Page {number} is about the number {number}." for number in range(20)]
    expected = encoder.encode_queries(questions).mean(axis=0)
    np.testing.assert_allclose(mean_vector(snapshot.manifest.means.query), expected, atol=1e-4)


def test_few_passages_have_no_mean(tmp_path: Path, encoder: EchoEncoder) -> None:
    means = grown(tmp_path, encoder, pages=15).manifest.means
    assert not any(means.document) and not any(means.query)


def test_means_stay_until_the_index_has_doubled(tmp_path: Path, encoder: EchoEncoder) -> None:
    assert grown(tmp_path, encoder, pages=10).manifest.means.passages == 10
    first = grown(tmp_path, encoder, pages=16).manifest.means
    assert first.passages == 16
    assert grown(tmp_path, encoder, pages=31).manifest.means == first
    assert grown(tmp_path, encoder, pages=32).manifest.means.passages == 32


def test_search_compares_what_is_left_without_the_means(tmp_path: Path, encoder: EchoEncoder) -> None:
    from indexer import Where

    snapshot = grown(tmp_path, encoder, pages=20)
    means = snapshot.manifest.means
    query = encoder.encode_queries(["number seven"])[0]
    found = snapshot.nearest(query, k=20, where=Where())
    ids, vectors = next(iter(snapshot.catalog.vectors(generation=snapshot.manifest.generation)))
    centred = remove_mean(vectors, mean_vector(means.document))
    cosines = centred @ remove_mean(query[None, :], mean_vector(means.query))[0]
    assert [identifier for identifier, _ in found] == ids[np.argsort(-cosines)].tolist()
    assert [score for _, score in found] == pytest.approx(sorted(cosines.tolist(), reverse=True), abs=1e-5)
