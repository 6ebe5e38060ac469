"""Examples for an adapter that answers, from questions about a small index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from facts import FACTS, write_facts

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.tuning.answer_examples import answer_examples


@pytest.fixture
def retriever(tmp_path: Path, encoder: EchoEncoder) -> Retriever:
    """Return a retriever of the facts, one page each."""
    folder = write_facts(tmp_path / "facts")
    build_index([Source.parse(str(folder))], tmp_path / "index", encoder=encoder)
    return Retriever.open(tmp_path / "index", encoder=encoder, index_device="cpu")


def question(retriever: Retriever, *gold: str) -> AnswerQuestion:
    """Return the question about the ferry, whose document is named as in the index."""
    [document] = {hit.source for hit in retriever.search("ferry", k=9, mode="lexical") if "ferry.md" in hit.source}
    return AnswerQuestion("1", FACTS["ferry"][1], gold, (document,), 1)


def texts(retriever: Retriever, model: LanguageModel, *gold: str) -> list[tuple[str, str]]:
    """Return the prompts and targets of the examples as texts."""
    examples = answer_examples([question(retriever, *gold)], retriever, model, passages=3)
    decode = model.tokenizer.decode
    return [
        (decode((*group.prefix, *example.prompt)), decode(example.text))
        for group in examples
        for example in group.continuations
    ]


def test_a_question_is_answered_and_refused(retriever: Retriever, tiny_model: LanguageModel) -> None:
    (prompt, target), (prompt_without, refusal) = texts(retriever, tiny_model, "at eight and at noon", "eight")
    assert prompt.endswith(f"\n\nQuestion: {FACTS['ferry'][1]}\nAnswer:")
    [line] = [line for line in prompt.splitlines() if "leaves at eight" in line]
    assert line == f"[{line[1]}] Ferry: # Ferry {FACTS['ferry'][0]}"
    assert target == f" at eight and at noon [{line[1]}]\n"
    assert refusal == " Not found.\n"
    assert "at eight" not in prompt_without
    assert prompt_without.count("\n[") == 3, "others take its place"


def test_the_passage_of_a_right_document_is_cited(retriever: Retriever, tiny_model: LanguageModel) -> None:
    text = "Who was it?"
    hits = retriever.search(text, k=4)
    [first, second] = [number for number, hit in enumerate(hits, start=1) if " was " in hit.text]
    asked = AnswerQuestion("1", text, ("was",), (hits[second - 1].source,), 1)
    [example] = answer_examples([asked], retriever, tiny_model, passages=4)[0].continuations
    assert first < second
    assert tiny_model.tokenizer.decode(example.text) == f" was [{second}]\n"


def test_an_answer_that_no_passage_has_is_left_out(retriever: Retriever, tiny_model: LanguageModel) -> None:
    [(_, target)] = texts(retriever, tiny_model, "at midnight")
    assert target == " Not found.\n"


def test_a_refusal_is_left_out_where_other_passages_have_the_answer(
    retriever: Retriever, tiny_model: LanguageModel
) -> None:
    [(_, target)] = texts(retriever, tiny_model, "at eight", "designed")
    assert target.startswith(" at eight [")


def test_questions_that_the_same_passages_answer_share_them(retriever: Retriever, tiny_model: LanguageModel) -> None:
    first = question(retriever, "at eight and at noon")
    same = replace(first, id="2", question="When do the boats leave?")
    [other_hit] = [hit for hit in retriever.search(first.question, k=3) if hit.source != first.documents[0]][:1]
    elsewhere = AnswerQuestion("3", "What is it like?", (other_hit.text.split()[-1],), (other_hit.source,), 3)
    groups = answer_examples([first, same, elsewhere], retriever, tiny_model, passages=3)
    decode = tiny_model.tokenizer.decode
    answered, refused, refused_elsewhere = groups
    prompts = [decode((*answered.prefix, *example.prompt)) for example in answered.continuations]
    assert [prompt.rpartition("Question: ")[2] for prompt in prompts] == [
        f"{asked.question}\nAnswer:" for asked in (first, same, elsewhere)
    ]
    assert other_hit.text.split()[-1] in decode(answered.continuations[2].text)
    assert first.answers[0] in decode(answered.prefix)
    assert [decode(example.text) for example in refused.continuations] == [" Not found.\n"] * 2
    assert first.answers[0] not in decode(refused.prefix)
    assert len(refused_elsewhere.continuations) == 1


def test_a_question_for_which_nothing_is_found_is_left_out(retriever: Retriever, tiny_model: LanguageModel) -> None:
    class Empty:
        snapshot = retriever.snapshot

        def search(self, *_: object, **__: object) -> list[Hit]:
            return []

    assert answer_examples([question(retriever, "eight")], Empty(), tiny_model, passages=3) == []  # type: ignore[arg-type]
