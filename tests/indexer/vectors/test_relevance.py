"""The relevance of a cosine: the share of unrelated queries whose nearest chunk is not as near."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from indexer_helpers import WordEncoder, build, write

from echo_index.indexer.generations.manifest import FORMAT_VERSION, read_manifest, write_manifest
from echo_index.indexer.generations.snapshot import open_snapshot
from echo_index.indexer.text.unrelated_queries import unrelated_queries
from echo_index.indexer.vectors.relevance import RelevanceScale


def test_the_relevance_is_the_share_of_unrelated_queries_that_find_nothing_as_near() -> None:
    best = np.random.default_rng(0).normal(size=(4000, 1000)).max(axis=1) * 0.1
    scale = RelevanceScale.of(best[:2000], chunks=1000)
    for share in (0.1, 0.3, 0.5, 0.8, 0.9, 0.95):
        cosine = float(np.quantile(best[2000:], share))
        assert scale.relevance(cosine, chunks=1000) == pytest.approx(share, abs=0.03)


def test_a_larger_index_needs_a_higher_cosine() -> None:
    numbers = np.random.default_rng(1).exponential(size=(3000, 2000))
    scale = RelevanceScale.of(numbers[:, :1000].max(axis=1), chunks=1000)
    median = float(np.median(numbers.max(axis=1)))
    assert scale.relevance(median, chunks=2000) == pytest.approx(0.5, abs=0.03)
    assert scale.relevance(median, chunks=1000) > 0.65


def test_the_relevance_rises_from_0_to_1() -> None:
    for scale in (RelevanceScale(0.3, 0.05, 100), RelevanceScale.of(np.full(50, 0.4), chunks=10)):
        shares = [scale.relevance(cosine, chunks=100) for cosine in np.linspace(-1, 1, 50)]
        assert shares == sorted(shares)
        assert shares[0] == 0
        assert shares[-1] == pytest.approx(1, abs=1e-5)


def test_unrelated_queries_are_questions_and_words_from_different_texts() -> None:
    texts = [f"The {word} and the sea" for word in ("whale", "anchor", "lighthouse", "灯台")]
    queries = unrelated_queries(texts, languages=["english"], rng=Random(0))
    assert queries == unrelated_queries(texts, languages=["english"], rng=Random(0))
    shuffled = [query for query in queries if {*query.split()} <= {"whale", "anchor", "lighthouse", "灯台", "sea"}]
    assert len(shuffled) == 48
    assert len(queries) == 96
    assert len(unrelated_queries(["", "the"], languages=["english"], rng=Random(0))) == 48, "texts without words"


def test_of_lines_without_spaces_short_pieces_are_taken() -> None:
    texts = ["灯台は海のそばにあります", "ประภาคารอยู่ริมทะเลสีฟ้า"]
    words = {word for query in unrelated_queries(texts, languages=[], rng=Random(0)) for word in query.split()}
    assert {len(word) for word in words if word[0] in texts[0]} == {4}
    assert {len(word) for word in words if word[0] in texts[1]} == {12}


def test_unrelated_questions_are_as_frequent_as_english_texts() -> None:
    english = ["The whale sings in the sea and it is heard.", "def sink(anchor): return anchor.weight"]
    others = [
        "Der Wal singt in der See und wird gehört.",
        "灯台は海のそばにあります",
        "Cá voi hát dưới biển và được nghe thấy",
    ]
    known = {*unrelated_queries(english, languages=["english"], rng=Random(0))[48:]}

    def questions(texts: list[str]) -> int:
        queries = unrelated_queries(texts, languages=["english", "german"], rng=Random(0))
        assert len(queries) == 96
        return len(known.intersection(queries))

    assert questions(english) == 48
    assert questions(others) == 0
    assert questions([*english, *english, *others[:1]]) == round(48 * 4 / 5)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    pages = {
        f"page{number}": f"# Page {number}\n\nIt tells of whale{number} and boat{number}.\n" for number in range(20)
    }
    write(tmp_path / "docs", **pages)
    build(tmp_path / "docs", tmp_path / "index")
    return tmp_path / "index"


def test_a_build_estimates_it_and_an_index_of_format_4_gets_it_without_a_new_normalization(index: Path) -> None:
    manifest = read_manifest(index)
    scale = manifest.normalizations.relevance
    assert scale is not None
    assert (scale.chunks, manifest.format_version) == (manifest.chunks, FORMAT_VERSION)
    without = type(manifest.normalizations)(manifest.normalizations.echo, manifest.normalizations.classical)
    write_manifest(index, replace(manifest, normalizations=without, format_version=4))
    assert open_snapshot(index, index_device="cpu").relevance(0.5) is None
    encoder = WordEncoder()
    build(index.parent / "docs", index, encoder)
    again = read_manifest(index)
    assert encoder.embedded == [], "no passage is embedded again"
    assert again.normalizations == manifest.normalizations
    assert open_snapshot(index, index_device="cpu").relevance(0.99) == pytest.approx(1, abs=0.05)


def test_too_few_passages_have_no_relevance(tmp_path: Path) -> None:
    write(tmp_path / "docs", one="# One\n\nA page.\n")
    build(tmp_path / "docs", tmp_path / "index")
    assert read_manifest(tmp_path / "index").normalizations.relevance is None
    assert open_snapshot(tmp_path / "index", index_device="cpu").relevance(0.9) is None
