"""Loading evaluation data; errors name the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_files import json_lines, write_beir, write_pairs

from echo_index.errors import SourceError
from echo_index.indexer.documents.document import Document
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset, QuestionFile, RelevanceJudgement, SentencePairs


def test_a_folder_is_a_collection_of_judged_questions(tmp_path: Path) -> None:
    found = read_evaluation_input(write_beir(tmp_path / "small"))
    assert isinstance(found, BeirDataset)
    assert found.name == "small"
    assert [(question.id, question.grades) for question in found.queries] == [
        ("q1", {"whales": 1}), ("q2", {"bread": 2, "kites": 0}),
    ]  # fmt: skip
    documents = dict(found.documents())
    assert documents["whales"] == Document("The whale sings in the north. Its songs are long.", "Whales", "text")
    assert not documents["bread"].has_own_title
    assert documents["empty"].text == ""
    first = read_evaluation_input(tmp_path / "small", limit=1)
    assert isinstance(first, BeirDataset)
    assert len(first.queries) == 1


def test_lines_with_the_same_question_are_one_question(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"question": "Why?", "page": "a.md"},
        {"question": "Why?", "page": "b.md", "passage": "so  it\nis", "grade": 2},
        {"question": "When?", "page": "a.md"},
    ]
    found = read_evaluation_input(json_lines(tmp_path / "mine.jsonl", lines))
    assert isinstance(found, QuestionFile)
    why, when = found.queries
    assert why.judgements == (
        RelevanceJudgement("a.md", line=1),
        RelevanceJudgement("b.md", grade=2, quotation="so  it\nis", line=2),
    )
    assert why.keys("a.md", "whatever") == ["a.md"]
    [quoted] = why.keys("b.md", "We say: so it is.")
    assert why.grades == {"a.md": 1, quoted: 2}
    assert why.keys("b.md", "Something else.") == ["b.md"], "which is not among what is right"
    assert when.keys("b.md", "so it is") == ["b.md"]


def test_a_table_is_pairs_of_sentences(tmp_path: Path) -> None:
    found = read_evaluation_input(write_pairs(tmp_path / "pairs.tsv"))
    assert isinstance(found, SentencePairs)
    assert found.scores == (5, 3, 0.5, 4)
    assert (found.first[1], found.second[1]) == ("A dog runs over grass.", "An animal runs.")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("corpus.jsonl", None, "it has no corpus.jsonl"),
        ("queries.jsonl", '{"_id": "q1", "text": "a"}\nno json\n', "Line 2 of .*queries.jsonl is not a JSON object"),
        ("queries.jsonl", '{"_id": "q1"}\n', 'Line 1 of .*queries.jsonl has no text under "text"'),
        ("qrels/test.tsv", "query\tscore\n", r"test.tsv does not name the column 'query-id'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\tbread\t1\n", "Line 2 of .*test.tsv names the query 'q9'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tbread\thigh\n", "Line 2 of .* has 'high' where"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tbread\tnan\n", "Line 2 of .* has 'nan' where"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\tbread\t1.5\n", "Line 2 of .* should be a whole number"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "has no question"),
    ],
)
def test_errors_in_a_dataset_folder_name_file_and_line(
    tmp_path: Path, name: str, content: str | None, said: str
) -> None:
    folder = write_beir(tmp_path / "small")
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        read_evaluation_input(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"question": "Why?", "page": "a"}\n{"question": "Why?"}\n', 'Line 2 of .*x has no text under "page"'),
        ('{"question": " ", "page": "a"}', 'Line 1 of .*x has no text under "question"'),
        ('{"question": "Why?", "page": "a", "grade": "much"}', "has 'much' where \"grade\" should be a number"),
        ("a\tb\n", "does not name the column 'score'"),
        ("score\tsentence1\tsentence2\n1\ta\tb\n", "fewer than 3 pairs"),
        ("score\tsentence1\tsentence2\n1\ta\tb\n1\ta\n1\ta\tb\n", 'Line 3 of .*x has no text under "sentence2"'),
    ],
)
def test_errors_in_a_file_name_file_and_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "x").write_text(content, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        read_evaluation_input(tmp_path / "x")


def test_missing_and_binary_files_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read: No such file"):
        read_evaluation_input(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="not a text file in UTF-8"):
        read_evaluation_input(tmp_path / "x")
