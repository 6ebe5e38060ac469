"""The benchmark of precisions: nDCG as trec_eval has it, and a whole run over a small set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import precision


def test_ndcg_is_that_of_trec_eval() -> None:
    grades = {"a": 2, "b": 1, "c": 0}
    best = 2 + 1 / 1.584962500721156
    assert precision.ndcg(["a", "b"], grades) == pytest.approx(1)
    assert precision.ndcg(["x", "b", "a"], grades) == pytest.approx((1 / 1.584962500721156 + 2 / 2) / best)
    assert precision.ndcg(["x"] * 10 + ["a"], grades) == 0, "beyond the tenth nothing counts"
    assert precision.ndcg(["a"], {"a": 0}) == 0


def test_a_whole_run(tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    texts = ["the whale sings in the north", "bread is baked at five", "a kite flies over the hill"]
    documents = [{"_id": f"doc-{number}", "title": "", "text": text} for number, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(each) + "\n" for each in documents), encoding="utf-8")
    questions = [{"_id": "q1", "text": "whale"}, {"_id": "q2", "text": "bread"}, {"_id": "unjudged", "text": "kite"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(each) + "\n" for each in questions), encoding="utf-8")
    judgements = "query-id\tcorpus-id\tscore\nq1\tdoc-0\t1\nq2\tdoc-1\t1\n"
    (folder / "qrels" / "test.tsv").write_text(judgements, encoding="utf-8")
    precision.main([str(folder), "--work", str(tmp_path / "work"), "--model", str(tiny_folder)])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert {(row[2], row[3]) for row in rows} == {
        (mode, name) for mode in ("hybrid", "dense", "lexical") for name in ("fp32", "int8")
    }
    assert all(row[:2] == ["small", "2"] for row in rows)
    lexical = {row[3]: row[4:] for row in rows if row[2] == "lexical"}
    assert lexical == {"fp32": ["100.0"], "int8": ["100.0", "+0.0", "+0.0", "to", "+0.0"]}
