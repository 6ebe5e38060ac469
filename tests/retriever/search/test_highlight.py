"""Highlighted sentences: sentence ends, shared terms, and comparison by vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echo_index.retriever.search.highlight import highlight_hits, matching_sentence, sentence_spans
from echo_index.retriever.search.hits import Hit, RankedScore


def sentences(text: str, *, by_line: bool = False) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, by_line=by_line)]


def matched(question: str, text: str, *, by_line: bool = False) -> str | None:
    span = matching_sentence(question, text, by_line=by_line)
    return None if span is None else text[span[0] : span[1]]


def hit(text: str, *, dense: bool = True, format: str = "markdown") -> Hit:
    place = RankedScore(1, 0.5)
    return Hit(
        text, "a.md", "", (), format, 0, len(text), None, 1, 0.5, place if dense else None, None if dense else place
    )


# Sentences


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One is here. Two is there! Is three?\nYes.", ["One is here.", "Two is there!", "Is three?", "Yes."]),
        ('He said "no." She left (early.) So it was.', ['He said "no."', "She left (early.)", "So it was."]),
        ("Some files, e.g. pictures, are 3.5 MB.", ["Some files, e.g. pictures, are 3.5 MB."]),
        (
            "This paragraph was wrapped by its author at\nsixty characters or so. It goes on.",
            ["This paragraph was wrapped by its author at\nsixty characters or so.", "It goes on."],
        ),
        ("# A heading\nA short line\n\nAnother.", ["# A heading", "A short line", "Another."]),
        (
            "A line that is long enough to have been wrapped by hand:\n- one thing\n- another\n\n1. A step.\n2. Next.",
            [
                "A line that is long enough to have been wrapped by hand:",
                "- one thing",
                "- another",
                "1. A step.",
                "2. Next.",
            ],
        ),
        ("```python\nimport this\n```\n---\n***", ["import this"]),
        (
            "some_function(with_one_argument, and_another);\nother(one);",
            ["some_function(with_one_argument, and_another);", "other(one);"],
        ),
        ("| a | b |\n|---|---|\n| c | d |", ["| a | b |", "| c | d |"]),
        ("这是第一句。那是第二句！「还有？」完。", ["这是第一句。", "那是第二句！", "「还有？」", "完。"]),
        ("ما هو؟ هذا كتاب.", ["ما هو؟", "هذا كتاب."]),
        ("", []),
        (" .!? \n--- …", []),
    ],
)
def test_a_text_is_cut_into_sentences(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_code_is_cut_into_lines() -> None:
    code = "def f(path, *, a_rather_long_option=None):\n    return path. strip() # Why? Because.\n\n}\n"
    assert sentences(code, by_line=True) == [line.strip() for line in code.splitlines()[:2]]


def test_a_long_sentence_is_cut_at_a_pause() -> None:
    text = ", ".join(f"clause number {number}" for number in range(60))
    pieces = sentences(text)
    assert " ".join(pieces) == text
    assert all(200 < len(piece) <= 400 for piece in pieces[:-1])
    assert all(piece.endswith(",") for piece in pieces[:-1])
    assert [len(piece) for piece in sentences("x" * 1000)] == [400, 400, 200]


@settings(max_examples=200, deadline=None)
@given(
    question=st.text(max_size=40),
    text=st.lists(
        st.sampled_from(["word ", "Other", ". ", "? ", "\n", "    ", "猫が", "。", "كِتاب ", "é", "1", "#", "| ", "```"])
        | st.text(max_size=5)
        | st.just("z" * 150),
        max_size=40,
    ).map("".join),
    by_line=st.booleans(),
)
def test_sentences_are_in_order_apart_and_not_long(question: str, text: str, by_line: bool) -> None:
    spans = sentence_spans(text, by_line=by_line)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(0 < end - start <= 400 and text[start:end] == text[start:end].strip() for start, end in spans)
    found = matching_sentence(question, text, by_line=by_line)
    assert found is None or found in spans


# Words


PASSAGE = """# Leaving files out

The index holds what is in the folder. Files that `.gitignore` names are left out of the index.
Patterns after `--exclude` leave out more files of the index. Does the index shrink? It does: the index is compacted.
"""


@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("Which patterns leave files out?", "Patterns after"),
        ("What does gitignore do to the index?", "Files that `.gitignore`"),
        ("When is an index compacted?", "It does: the index is compacted."),
        ("What shrinks?", "Does the index shrink?"),
        ("FOLDERS", "The index holds"),
        ("How do I leave files out of the index?", "Patterns after"),
    ],
)
def test_the_sentence_that_shares_the_telling_words_is_found(question: str, begins: str) -> None:
    found = matched(question, PASSAGE)
    assert found is not None
    assert found.startswith(begins)


@pytest.mark.parametrize("question", ["", "?!", "zebra crossing", "What is this and that?", "Was ist das?"])
def test_nothing_shared_is_nothing_found(question: str) -> None:
    assert matched(question, PASSAGE) is None
    assert matched(question, "") is None


def test_a_word_in_every_sentence_says_little() -> None:
    text = "Old index of fish. Old index of fowl. Old index of game. There is salt."
    assert matched("old index salt", text) == "There is salt."
    assert matched("old index", text) == "Old index of fish."


def test_words_that_follow_each_other_count_more() -> None:
    text = "Apples are green, and trees are tall. Only green apples are sour."
    assert matched("green apples", text) == "Only green apples are sour."


def test_a_heading_or_a_question_gives_way_to_what_answers_it() -> None:
    assert matched("Where are cats?", "Where are the cats? Cats sit in the garden.") == "Cats sit in the garden."
    assert matched("garden cats", "## Garden cats\n\nOur cats like it there.") == "## Garden cats"
    assert matched("licence", "| licence |\n|---|\n| licence: MIT |") == "| licence: MIT |"
    assert matched("cats", "Cats\n----\n\nTwo cats.") == "Two cats."


def test_endings_accents_and_joints_do_not_matter() -> None:
    assert matched("indexing", "Nothing here. Two indexes there.") == "Two indexes there."
    assert matched("file", "Nothing here. Some files there.") == "Some files there."
    assert matched("model", "The mode is on. The models are large.") == "The models are large."
    assert matched("cafe", "Nothing here. Un café là.") == "Un café là."
    assert matched("max tokens", "x = 1\nmax_tokens = 200", by_line=True) == "max_tokens = 200"
    assert matched("gemma", "Nothing here. Take gemma3-270m for it.") == "Take gemma3-270m for it."


@pytest.mark.parametrize(
    ("question", "text", "expected"),
    [
        ("世代とは何ですか", "索引は目録を持つ。世代は完全な状態です。鯨は泳ぐ。", "世代は完全な状態です。"),
        ("如何排除文件？", "索引包含文件夹。可以用选项排除文件。鲸鱼在游泳。", "可以用选项排除文件。"),
        ("도서관은 어디에?", "학교는 멀다. 도서관에서 책을 읽는다.", "도서관에서 책을 읽는다."),
        ("ค้นหาเอกสาร", "ปลาวาฬว่ายน้ำ การค้นหาเร็ว", "ปลาวาฬว่ายน้ำ การค้นหาเร็ว"),
        ("ما هو الكتاب؟", "البيت كبير. الكِتاب جديد.", "الكِتاب جديد."),
        ("איפה הספר?", "הבית גדול. הספר חדש.", "הספר חדש."),
        ("हिन्दी भाषा", "यह घर है। हिन्दी सुन्दर है।", "हिन्दी सुन्दर है।"),
        ("Где книга?", "Дом большой. Книга новая.", "Книга новая."),
    ],
)
def test_other_scripts_are_matched_too(question: str, text: str, expected: str) -> None:
    assert matched(question, text) == expected


GERMAN = """# Das Dorf

Die Häuser des Dorfes wurden aus Holz gebaut, und sie sind nicht mit Stroh gedeckt. Der Bürgermeister ist seit zehn
Jahren im Amt. Im Sommer werden in den Gärten Äpfel und Birnen geerntet.
"""
FRENCH = """# Le village

Les maisons du village ont été construites en bois, et elles ne sont pas couvertes de chaume. Le maire est dans son
bureau depuis dix ans. En été, les habitants récoltent des pommes et des poires dans les jardins.
"""


@pytest.mark.parametrize(
    ("question", "text", "begins"),
    [
        ("Wie ist das Haus gebaut?", GERMAN, "Die Häuser"),
        ("Was wächst im Garten?", GERMAN, "Im Sommer"),
        ("Wann erntet man den Apfel?", GERMAN, "Im Sommer"),
        ("Comment construit-on la maison ?", FRENCH, "Les maisons"),
        ("Que fait un habitant du jardin ?", FRENCH, "En été"),
        ("Où récolte-t-on la pomme ?", FRENCH, "En été"),
        ("Was ist das und wie sind sie?", GERMAN, None),
        ("Qu'est-ce que c'est dans le sien ?", FRENCH, None),
    ],
)
def test_inflected_words_are_matched_by_the_stems_of_the_language(question: str, text: str, begins: str | None) -> None:
    found = matched(question, text)
    assert found is None if begins is None else (found or "").startswith(begins)


def test_particles_alone_are_not_a_match() -> None:
    assert matched("これはどうですか", "猫がいます。犬もいるのですか。") is None


# Meaning


def by_length(sentences: list[str]) -> npt.NDArray[np.float32]:
    """Similarity of sentences to a query that is nearest to long ones."""
    return np.array([len(sentence) for sentence in sentences], dtype=np.float32)


def test_vectors_are_compared_only_where_no_term_is_shared() -> None:
    asked: list[list[str]] = []

    def similarity(sentences: list[str]) -> npt.NDArray[np.float32]:
        asked.append(sentences)
        return by_length(sentences)

    texts = ["A cat sat. It slept for long.", "Whales. Dolphins swim far out. Sea.", "Salt. Bread and butter."]
    hits = [hit(texts[0]), hit(texts[1]), hit(texts[2], dense=False)]
    marks = _spans(highlight_hits("cat", hits, similarity=similarity))
    assert [mark and text[mark[0] : mark[1]] for mark, text in zip(marks, texts, strict=True)] == [
        "A cat sat.",
        "Dolphins swim far out.",
        None,
    ]
    assert asked == [["Whales.", "Dolphins swim far out.", "Sea."]]
    assert _spans(highlight_hits("cat", hits[::2], similarity=similarity)) == [marks[0], None]
    assert _spans(highlight_hits("cat", [], similarity=similarity)) == []
    assert len(asked) == 1


def test_headings_and_questions_are_not_compared_unless_there_is_nothing_else() -> None:
    hits = [
        hit("# A very long heading of it all\n\nShort.\n"),
        hit("# Heading\n"),
        hit("a?b. Why so?\nNo.", format="code"),
    ]
    marks = _spans(highlight_hits("zebra", hits, similarity=by_length))
    assert [mark and one.text[slice(*mark)] for one, mark in zip(hits, marks, strict=True)] == [
        "Short.",
        "# Heading",
        "No.",
    ]


def test_so_many_sentences_are_compared_and_passages_as_a_whole() -> None:
    seen: list[int] = []

    def similarity(sentences: list[str]) -> npt.NDArray[np.float32]:
        seen.append(len(sentences))
        return by_length(sentences)

    ten = " ".join(f"Sentence {number}." for number in range(10))
    marks = _spans(highlight_hits("zebra", [hit(ten)] * 3, similarity=similarity))
    assert [mark is not None for mark in marks] == [True, True, False]
    marks = _spans(highlight_hits("zebra", [hit(" ".join([ten] * 3)), hit("One.")], similarity=similarity))
    assert [mark is not None for mark in marks] == [True, False]
    assert seen == [20, 24]


def _spans(hits: Sequence[Hit]) -> list[tuple[int, int] | None]:
    return [hit.sentence for hit in hits]
