"""A whole document is read in parts: what each part is told, what is written from the notes, and what is cited."""

from __future__ import annotations

from dataclasses import replace

import pytest
from recording_model import Recording

from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.errors import ModelError
from echo_index.indexer.catalog.records import ChunkRow
from echo_index.indexer.inspection.document_queries import IndexedDocument
from echo_index.retriever.rag import whole_document
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.whole_document import answer_from_notes, document_parts, take_notes

SENTENCES = (
    "The loom in the north hall was carved by Hanna Kvist from the wood of a pear tree.",
    "Boats to the island leave at eight and at noon, and dogs travel free of charge.",
    "The archive keeps letters of the weavers, which visitors may read on Fridays.",
    "In winter the museum closes at three, since the lamps of the old mill are weak.",
)


def document(*sentences: str) -> IndexedDocument:
    """Return a document with a passage for each sentence, one a line."""
    passages, start = [], 0
    for line, sentence in enumerate(sentences, start=1):
        passages.append(ChunkRow(sentence, (), start, start + len(sentence), None, line, b""))
        start += len(sentence) + 1
    return IndexedDocument("museum.txt", "The museum", "text", "\n".join(sentences), tuple(passages))


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let about two sentences be one part."""
    monkeypatch.setattr(whole_document, "_PART_TOKENS", 50)


def test_parts_are_whole_passages_of_about_equal_size() -> None:
    museum = document(*SENTENCES)
    parts = document_parts(museum, Recording(responses=[]))
    assert [part.text for part in parts] == ["\n".join(SENTENCES[:2]), "\n".join(SENTENCES[2:])]
    assert [(part.source, part.title, part.start, part.line) for part in parts] == [
        ("museum.txt", "The museum", 0, 1),
        ("museum.txt", "The museum", museum.passages[2].start, 3),
    ]
    assert len(document_parts(document(*SENTENCES[:2]), Recording(responses=[]))) == 1
    sizes = [len(part.text) for part in document_parts(document(*SENTENCES * 5), Recording(responses=[]))]
    assert max(sizes) < 2 * min(sizes)


def test_a_passage_that_is_too_long_is_a_part_of_its_own() -> None:
    long = " ".join(SENTENCES)
    texts = [part.text for part in document_parts(document(long, long, SENTENCES[0]), Recording(responses=[]))]
    assert texts[0] == long
    assert "\n".join(texts) == "\n".join([long, long, SENTENCES[0]])


def test_a_summary_is_written_from_notes_and_cites_the_parts() -> None:
    model = Recording(responses=["Hanna Kvist carved the loom.", "Letters can be read on Fridays.", ""])
    parts = document_parts(document(*SENTENCES), model)
    notes = [*take_notes(parts, model=model, question=None)]
    assert notes == ["Hanna Kvist carved the loom.", "Letters can be read on Fridays."]
    assert all(part.text in prompt for part, prompt in zip(parts, model.prompts, strict=True))
    summary = "Hanna Kvist carved a loom from pear wood. Visitors may read the weavers' letters on Fridays."
    model = Recording(responses=[summary])
    stream = answer_from_notes(parts, notes, model=model, question=None)
    assert "".join(stream) == (
        "Hanna Kvist carved a loom from pear wood. [1] Visitors may read the weavers' letters on Fridays. [2]"
    )
    assert model.prompts == ["Text:\n" + "\n\n".join(notes)]
    assert [citation.hit.line for citation in stream.answer.citations] == [1, 3]


def test_a_question_is_answered_from_the_parts_that_say_something_about_it() -> None:
    model = Recording(responses=["Not found.", "They can be read on Fridays.", "On Fridays."])
    parts = document_parts(document(*SENTENCES), model)
    notes = [*take_notes(parts, model=model, question="When can the letters be read?")]
    assert notes == ["", "They can be read on Fridays."]
    stream = answer_from_notes(parts, notes, model=model, question="When can the letters be read?")
    assert "".join(stream) == "On Fridays. [2]"
    assert stream.answer.question == "When can the letters be read?"
    assert model.prompts[-1] == "Text:\nThey can be read on Fridays.\n\nQuestion: When can the letters be read?"


def test_a_part_without_a_word_of_the_question_can_be_cited() -> None:
    model = Recording(responses=["Hanna Kvist carved the loom."])
    parts = document_parts(document(*SENTENCES), model)
    stream = answer_from_notes(parts, ["a", "b"], model=model, question="Sum up what is said, winter hours aside")
    assert "".join(stream) == "Hanna Kvist carved the loom. [1]"


def test_nothing_is_asked_if_no_part_says_anything() -> None:
    model = Recording(responses=["never"])
    parts = document_parts(document(*SENTENCES), model)
    stream = answer_from_notes(parts, ["", ""], model=model, question="Who paid?")
    assert not stream.answer.found
    assert model.prompts == []


def test_a_document_of_one_part_is_read_once() -> None:
    model = Recording(responses=["Hanna Kvist carved the loom."])
    parts = document_parts(document(SENTENCES[0]), model)
    notes = [*take_notes(parts, model=model, question=None)]
    assert (notes, model.prompts) == ([SENTENCES[0]], [])
    assert "".join(answer_from_notes(parts, notes, model=model, question=None)) == "Hanna Kvist carved the loom. [1]"


def test_notes_that_are_too_long_are_condensed_first() -> None:
    notes = [f"Note {number}: {SENTENCES[number % 4]}" for number in range(8)]
    model = Recording(responses=[*(f"Group {number}." for number in range(20))])
    parts = document_parts(document(*SENTENCES * 4), model)
    "".join(answer_from_notes(parts, notes, model=model, question=None))
    *condensed, last = model.prompts
    assert len(condensed) == 4
    assert all(sum(note in prompt for prompt in condensed) == 1 for note in notes)
    assert last == "Text:\nGroup 0.\n\nGroup 1.\n\nGroup 2.\n\nGroup 3."


def test_what_no_part_supports_is_marked() -> None:
    text = "Hanna Kvist carved the loom. The director lives in Stockholm."
    model = Recording(responses=[text])
    parts = document_parts(document(*SENTENCES), model)
    shown = "".join(answer_from_notes(parts, ["a", "b"], model=model, question=None))
    assert shown == "Hanna Kvist carved the loom. [1] The director lives in Stockholm. [?]"


def test_a_base_model_cannot_summarize(tiny_model: LanguageModel) -> None:
    base = replace(tiny_model, profile=replace(tiny_model.profile, writes="completion"))
    with pytest.raises(ModelError, match="only continues texts, and cannot summarize") as error:
        document_parts(document(*SENTENCES), EchoChatModel(language_model=base))
    assert "--writer qwen2.5-coder-1.5b-instruct" in str(error.value)


@pytest.mark.model
def test_a_real_model_summarizes(smollm: LanguageModel) -> None:
    model = EchoChatModel(language_model=smollm)
    parts = document_parts(document(*SENTENCES), model)
    assert len(parts) == 2
    notes = [*take_notes(parts, model=model, question=None)]
    assert "loom" in notes[0]
    stream = answer_from_notes(parts, notes, model=model, question=None)
    "".join(stream)
    assert stream.answer.found
    assert {citation.number for citation in stream.answer.citations} <= {1, 2}
    assert stream.answer.citations
