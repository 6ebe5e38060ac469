"""Text that was recognized in pictures: what may be wrong supports no answer, and everyone is told how sure it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_hit import HIT
from rich.console import Console

from echo_index.app.cli.output import print_hits
from echo_index.app.services.formatting import recognition_text, source_text
from echo_index.app.services.json_fields import hit_fields
from echo_index.app.web.hit_cards import citation_text, hit_card
from echo_index.indexer.documents.document import Recognition
from echo_index.retriever.rag.adapters import document_from_hit, hit_from_document
from echo_index.retriever.rag.citations import check_answer
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.neighbours import join_neighbours

PROSE = "The bridge over the river Wye was closed on 14 March. The repair costs 48,350 pounds. Hartley is the chair."
TABLE = "Ship | Crew\nViking | 151\nKelpie | 37"


def scan(text: str, *uncertain: str, start: int = 0, confidence: float = 0.934) -> Hit:
    spans = tuple((text.index(word), text.index(word) + len(word)) for word in uncertain)
    return replace(HIT, text=text, start=start, end=start + len(text), recognition=Recognition(confidence, spans))


@pytest.mark.parametrize(
    ("text", "question", "answer", "word"),
    [
        (PROSE, "What does the repair of the bridge cost?", "The repair of the bridge costs 48,350 pounds.", "48,350"),
        (PROSE, "When was the bridge closed?", "The bridge was closed on 14 March.", "14"),
        (PROSE, "Who is the chair?", "The chair is Hartley.", "Hartley"),
        (TABLE, "How large is the crew of the ship Viking?", "The ship Viking has a crew of 151.", "151"),
    ],
)
def test_words_that_may_be_wrong_support_no_answer(text: str, question: str, answer: str, word: str) -> None:
    assert check_answer(question, answer, [scan(text)]).found
    checked = check_answer(question, answer, [scan(text, word)])
    assert not checked.found
    assert not checked.citations
    other = scan("The ferry" if word != "Hartley" else "The river")
    assert check_answer(question, answer, [scan(text, "over" if text == PROSE else "Kelpie"), other]).found


def test_the_passage_of_an_answer_is_shown_with_all_its_words() -> None:
    checked = check_answer("When was the bridge closed?", "It was closed on 14 March [1].", [scan(PROSE, "48,350")])
    assert [citation.hit.text for citation in checked.citations] == [PROSE]


def test_joined_hits_have_the_uncertain_words_of_all() -> None:
    first = scan("One tvvo three four", "tvvo", confidence=0.8)
    second = scan("four five sjx seven", "four", "sjx", start=15, confidence=0.9)
    typed = replace(HIT, text="eight", start=35, end=40)
    [joined] = join_neighbours([second, typed, first])
    assert joined.recognition
    assert joined.recognition.confidence == pytest.approx(0.85)
    assert [joined.text[start:end] for start, end in joined.recognition.uncertain] == ["tvvo", "four", "sjx"]
    assert joined.without_uncertain_words().text == "One □□□□ three □□□□ five □□□ seven eight"
    [plain] = join_neighbours([replace(HIT, recognition=None)])
    assert plain.recognition is None


def test_hits_say_how_sure_their_text_is() -> None:
    hit = scan(PROSE, "14")
    sure = "read by OCR, confidence 93 %"
    assert recognition_text(hit) == sure
    assert source_text(hit) == f"island/ferry.md, line 7; {sure}"
    assert hit_fields(hit)["recognition"] == {"confidence": 0.934, "uncertain": ((44, 46),)}
    assert f">{sure}<" in hit_card(hit, number=1)
    assert sure in citation_text(hit)
    assert hit_from_document(document_from_hit(hit)) == hit
    console = Console(width=200, record=True)
    print_hits(console, [hit, HIT])
    assert console.export_text().count(sure) == 1
    assert recognition_text(HIT) == ""
    assert sure not in hit_card(HIT, number=1)
