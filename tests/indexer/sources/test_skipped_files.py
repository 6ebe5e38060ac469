"""The sentences on files that were passed over."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from echo_index.indexer.sources.skipped_files import SkippedFiles


def test_sentences_have_the_right_number() -> None:
    assert SkippedFiles().sentences() == []
    assert SkippedFiles({".mp3": 1}, 1, 1).sentences() == [
        "1 file was left out, as no reader takes it: 1 .mp3.",
        "1 file was left out, as it is empty.",
        "1 link was left out, as it leads out of its folder.",
    ]
    assert SkippedFiles({".key": 1200, "": 1}, 2, 3).sentences() == [
        "1,201 files were left out, as no reader takes them: 1,200 .key, 1 without a suffix.",
        "2 files were left out, as they are empty.",
        "3 links were left out, as they lead out of their folder.",
    ]


def test_many_kinds_are_summed_up() -> None:
    skipped = SkippedFiles.count(
        (Path(f"{name}.x{kind}"), "unsupported") for kind in range(30) for name in "ab"[: 1 + kind % 2]
    )
    [sentence] = skipped.sentences()
    assert sentence.startswith("45 files were left out, as no reader takes them: 2 .x1, 2 .x11, ")
    assert sentence.endswith(" and 21 of other kinds.")


def test_what_is_stored_is_read_back_in_order() -> None:
    names = ["b.gz", "a.GZ", "c.a", "d", "e." + "x" * 40, "f.z\x1b[31m"]
    skipped = SkippedFiles.count([*((Path(name), "unsupported") for name in names), (Path("e.md"), "empty")])
    assert skipped == SkippedFiles({"": 3, ".gz": 2, ".a": 1}, 1, 0) == SkippedFiles.parse(asdict(skipped))
    assert [*skipped.unsupported] == ["", ".gz", ".a"]
    assert SkippedFiles.total([skipped, skipped]) == SkippedFiles({"": 6, ".gz": 4, ".a": 2}, 2, 0)
