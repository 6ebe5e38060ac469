"""Texts in a grammar: what models with random weights write is JSON of the schema all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from passes import recorded_passes
from tiny_models import ARCHITECTURES, save_model

from echo_index.embeddings.generation.chat_template import Message, chat_tokens
from echo_index.embeddings.generation.grammar import Grammar
from echo_index.embeddings.generation.text_generation import generate
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.errors import TextError

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "role": {"enum": ["weaver", "miller"]},
    },
    "required": ["name", "age", "role"],
}


def prompt(model: LanguageModel) -> list[int]:
    return model.tokenizer.encode("The quick brown fox")


def check_person(text: str) -> None:
    person: dict[str, Any] = json.loads(text)
    assert [*person] == ["name", "age", "role"]
    assert isinstance(person["name"], str)
    assert len(person["name"]) <= 12
    assert 0 <= person["age"] <= 120
    assert person["role"] in {"weaver", "miller"}
    assert text.startswith('{"name": "'), "without free white space"


@pytest.mark.parametrize("name", ["llama", "gemma3", "gpt2"])
def test_any_model_writes_json_of_the_schema(name: str, tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path / "model", ARCHITECTURES[name]())), device="cpu")
    text = generate(model, prompt(model), max_tokens=200, grammar=Grammar.of_json(PERSON))
    check_person("".join(text))
    assert text.finish_reason == "stop"


@pytest.mark.parametrize("seed", range(5))
def test_drawn_tokens_are_in_the_grammar(tiny_model: LanguageModel, seed: int) -> None:
    grammar = Grammar.of_json(PERSON)
    check_person(
        "".join(generate(tiny_model, prompt(tiny_model), max_tokens=200, grammar=grammar, temperature=3.0, seed=seed))
    )


def test_what_must_follow_is_not_computed_token_by_token(tiny_model: LanguageModel) -> None:
    grammar = Grammar.of_lark('start: "The quick brown fox jumps over the lazy dog, and " ("sleeps" | "eats")')
    with recorded_passes() as passes:
        text = generate(tiny_model, prompt(tiny_model), max_tokens=200, grammar=grammar)
        written = "".join(text)
    assert written in {f"The quick brown fox jumps over the lazy dog, and {verb}" for verb in ("sleeps", "eats")}
    assert len(passes) < text.tokens / 2


def test_a_text_that_is_too_long_is_cut(tiny_model: LanguageModel) -> None:
    text = generate(tiny_model, prompt(tiny_model), max_tokens=3, grammar=Grammar.of_json(PERSON))
    written = "".join(text)
    assert (text.tokens, text.finish_reason) == (3, "length")
    assert '{"name": "'.startswith(written[:10])


def test_a_list_may_repeat_its_keys(tiny_model: LanguageModel) -> None:
    grammar = Grammar.of_json({"type": "array", "items": PERSON, "minItems": 4, "maxItems": 4})
    people = json.loads("".join(generate(tiny_model, prompt(tiny_model), max_tokens=900, grammar=grammar)))
    assert len(people) == 4


def test_objects_have_no_properties_but_those_that_are_named(tiny_model: LanguageModel) -> None:
    point = {"type": "object", "properties": {"x": {"enum": [1]}}}
    schema = {
        "type": "object",
        "$defs": {"point": point},
        "properties": {"at": {"$ref": "#/$defs/point"}, "all": {"type": "array", "items": point, "maxItems": 3}},
        "required": ["at", "all"],
    }
    for seed in range(5):
        drawn = generate(
            tiny_model,
            prompt(tiny_model),
            max_tokens=200,
            grammar=Grammar.of_json(schema),
            temperature=3.0,
            seed=seed,
        )
        found = json.loads("".join(drawn))
        assert [*found] == ["at", "all"]
        assert all({*part} <= {"x"} for part in (found["at"], *found["all"]))


@pytest.mark.parametrize("schema", [{"type": "colour"}, {"type": "string", "pattern": "("}])
def test_a_schema_that_cannot_be_followed_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(TextError, match="grammar or JSON schema cannot be followed"):
        Grammar.of_json(schema)


@pytest.mark.model
def test_a_real_model_chooses_what_is_right(smollm: LanguageModel) -> None:
    schema = {"type": "object", "properties": {"capital": {"enum": ["Rome", "Paris", "Oslo"]}}, "required": ["capital"]}
    asked = chat_tokens(smollm, [Message("user", "What is the capital of France?")])
    text = "".join(generate(smollm, asked, max_tokens=40, grammar=Grammar.of_json(schema)))
    assert text == '{"capital": "Paris"}'
