"""What a writer wrote is kept from one run to the next, even of a run that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.embeddings.generation.chat_template import Message
from echo_index.errors import EchoIndexError
from echo_index.retriever.answer_evaluation.answer_store import AnswerStore, WrittenText, prompt_key
from echo_index.retriever.rag.answer_prompt import Prompt

FERRY, CASTLE = WrittenText("At eight.", 0.5, 1.5), WrittenText("Otto „Brandt“\n", 0.25, 2.0)


def test_texts_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "below" / "texts.jsonl"
    with AnswerStore(path) as store:
        assert store.get("ferry") is None
        store.put("ferry", FERRY)
        assert store.get("ferry") == FERRY
    with AnswerStore(path) as store:
        store.put("castle", CASTLE)
    with AnswerStore(path) as store:
        assert (store.get("ferry"), store.get("castle")) == (FERRY, CASTLE)


def test_a_line_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with AnswerStore(path) as store:
        store.put("ferry", FERRY)
        store.put("castle", CASTLE)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with AnswerStore(path) as store:
            assert store.get("ferry") in (None, FERRY)
            assert store.get("castle") is None or size >= len(content) - 1
            store.put("castle", CASTLE)
        with AnswerStore(path) as store:
            assert store.get("castle") == CASTLE, f"after the first {size} bytes"


def test_a_text_is_on_disk_at_once(tmp_path: Path) -> None:
    with AnswerStore(tmp_path / "texts.jsonl") as store:
        store.put("ferry", FERRY)
        with AnswerStore(tmp_path / "texts.jsonl") as again:
            assert again.get("ferry") == FERRY


def test_each_prompt_has_a_key_of_its_own() -> None:
    def prompt(*messages: Message, stop: list[str] | None = None, bias: float = 0.0) -> Prompt:
        return Prompt("Who?", (), [*messages], stop, refusal_bias=bias)

    prompts = [
        prompt(Message("user", "Who?")),
        prompt(Message("assistant", "Who?")),
        prompt(Message("user", "Who?"), Message("user", "")),
        prompt(Message("user", "Why?")),
        prompt(Message("user", "Who?"), stop=["."]),
        prompt(Message("user", "Who?"), bias=1.0),
    ]
    assert len({*map(prompt_key, prompts)}) == len(prompts)
    assert prompt_key(prompt(Message("user", "Who?"))) == prompt_key(prompts[0])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EchoIndexError, match=r"file/texts\.jsonl cannot be written: "):
        AnswerStore(tmp_path / "file" / "texts.jsonl")
