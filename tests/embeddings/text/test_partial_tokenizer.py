"""An excerpt cuts texts as the whole tokenizer does, whatever they are; the whole one is not read for a few."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text import tokenizer
from echo_index.embeddings.text.partial_tokenizer import PartialTokenizer, cache_partial_tokenizer
from echo_index.embeddings.text.prompt_tokens import token_ids
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import ModelError, TextError

TEXTS = [
    "How do I keep a build from taking in a folder?",
    "\nRewrite the following paragraph: ",
    "  two  spaces, a\ttab\t\tand\n\n\nlines \n ",
    "naïve Straße, 日本語 \U0001f600, \x01 and \u200b",
    "<bos> and <unused5> are text, [multimodal] is a token, <h1>so is this</h1> <|im_start|>",
    "don't call foo_bar(x) == 12345;",
    " \x16<h1> a letter without a token",
    "",
]


@pytest.fixture(scope="module", params=["gemma", "smollm"])
def tokenizer_file(request: pytest.FixtureRequest) -> Path:
    model: LanguageModel = request.getfixturevalue(request.param)
    return model.folder / "tokenizer.json"


@pytest.fixture(scope="module")
def whole(tokenizer_file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def excerpts(tokenizer_file: Path) -> PartialTokenizer:
    cache_partial_tokenizer(tokenizer_file)
    found = PartialTokenizer.cached(tokenizer_file)
    assert found is not None
    return found


def cut(tokenizer: Tokenizer, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    tokenizer.encode_special_tokens = True
    return [(cut.ids, cut.offsets) for cut in tokenizer.encode_batch(texts, add_special_tokens=False)]


def test_an_excerpt_cuts_as_the_whole(excerpts: PartialTokenizer, whole: Tokenizer) -> None:
    assert cut(excerpts.tokenizer_for(TEXTS), TEXTS) == cut(whole, TEXTS)


def test_an_excerpt_of_any_text_cuts_as_the_whole(excerpts: PartialTokenizer, whole: Tokenizer) -> None:
    words = st.sampled_from(["\n", "\n\n", " ", "  ", "\t", "<h1>", "</h1>", "[multimodal]", "<bos>", "the", "Größe"])

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(words | st.text(max_size=8), max_size=12).map("".join))
    def check(text: str) -> None:
        assert cut(excerpts.tokenizer_for([text]), [text]) == cut(whole, [text])

    check()


def test_an_excerpt_is_small(excerpts: PartialTokenizer) -> None:
    assert excerpts.tokenizer_for(TEXTS[:1]).get_vocab_size() < 500


def test_an_excerpt_knows_the_ids_of_tokens(excerpts: PartialTokenizer, whole: Tokenizer) -> None:
    for token in ("<bos>", "<|im_start|>", "the", "no such token"):
        assert excerpts.id_of(token) == whole.token_to_id(token)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_of_added_tokens_the_longest_counts(smollm: LanguageModel, tmp_path: Path, own_cache: Path) -> None:
    frame = json.loads((smollm.folder / "tokenizer.json").read_text(encoding="utf-8"))
    frame["pre_tokenizer"]["add_prefix_space"] = True
    flags = dict.fromkeys(("special", "normalized", "single_word", "lstrip", "rstrip"), False)
    frame["added_tokens"] = [{"id": frame["model"]["vocab"][text], "content": text} | flags for text in ("a", "ab")]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(frame), encoding="utf-8")
    cache_partial_tokenizer(file)
    excerpts = PartialTokenizer.cached(file)
    assert excerpts is not None
    assert cut(excerpts.tokenizer_for(["abthe"]), ["abthe"]) == cut(Tokenizer.from_file(str(file)), ["abthe"])


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"type": "Unigram"}},
        {"model": {"dropout": 0.1}},
        {"model": {"end_of_word_suffix": "</w>"}},
        {"added_tokens": [{"id": 5, "content": "x", "special": False, "normalized": True}]},
    ],
)
def test_what_is_not_decided_by_letters_gives_no_excerpts(
    smollm: LanguageModel, tmp_path: Path, own_cache: Path, changed: dict[str, object]
) -> None:
    frame = json.loads((smollm.folder / "tokenizer.json").read_text(encoding="utf-8"))
    for name, value in changed.items():
        frame[name] = frame[name] | value if isinstance(value, dict) else value
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(frame), encoding="utf-8")
    cache_partial_tokenizer(file)
    assert PartialTokenizer.cached(file) is None


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> list[str]:
    """Return the names of the tokenizers that were read whole; every one is taken for large."""
    read: list[str] = []

    class Counted:
        @staticmethod
        def from_file(name: str) -> Tokenizer:
            read.append(name)
            return Tokenizer.from_file(name)

    monkeypatch.setattr(tokenizer, "Tokenizer", Counted)
    monkeypatch.setattr(tokenizer, "_LARGE", 0)
    return read


def test_a_few_questions_do_not_need_the_whole(smollm: LanguageModel, counted: list[str]) -> None:
    first = ModelTokenizer.load(smollm.folder)
    assert len(counted) == 1
    second = ModelTokenizer.load(smollm.folder)
    assert (second.bos_id, second.end_id) == (first.bos_id, first.end_id)
    assert [second.encode(text) for text in TEXTS] == [first.encode(text) for text in TEXTS]
    assert len(counted) == 1


def test_much_text_is_cut_by_the_whole(smollm: LanguageModel, counted: list[str]) -> None:
    ids = ModelTokenizer.load(smollm.folder).encode("A long text. " * 500)
    vocabulary = ModelTokenizer.load(smollm.folder)
    assert vocabulary.encode("A long text. " * 500) == ids
    assert len(counted) == 2
    vocabulary.encode("A question?")
    assert len(counted) == 2


def test_many_questions_are_cut_by_the_whole(smollm: LanguageModel, counted: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    vocabulary = ModelTokenizer.load(smollm.folder)
    for number in range(100):
        vocabulary.encode(f"What is said of number {number}?")
    assert len(counted) == 2


def test_special_tokens_and_decoding_need_the_whole(smollm: LanguageModel, counted: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    for ask in (
        lambda vocabulary: vocabulary.encode("<|im_start|>", special_tokens=True) == [1],
        lambda vocabulary: vocabulary.decode(vocabulary.encode("A question?")) == "A question?",
    ):
        before = len(counted)
        assert ask(ModelTokenizer.load(smollm.folder))
        assert len(counted) == before + 1


def test_text_that_is_not_unicode_is_told_by_its_number(smollm: LanguageModel, counted: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    with pytest.raises(TextError, match="Text 1 of 2"):
        token_ids(ModelTokenizer.load(smollm.folder), ["good", "bad \udc80"])
    assert len(counted) == 1


def test_a_damaged_table_costs_only_time(smollm: LanguageModel, counted: list[str], own_cache: Path) -> None:
    right = ModelTokenizer.load(smollm.folder).encode(TEXTS[0])
    (table,) = (own_cache / "tokens").iterdir()
    whole = table.read_bytes()
    for damaged in (b"", b"not a database", whole[:8192], whole[:8192] + bytes(len(whole) - 8192)):
        table.write_bytes(damaged)
        assert ModelTokenizer.load(smollm.folder).encode(TEXTS[0]) == right
    opened = ModelTokenizer.load(smollm.folder)
    assert opened._excerpts is not None
    table.write_bytes(whole[:8192] + bytes(len(whole) - 8192))
    assert opened.encode(TEXTS[0]) == right


def test_a_cache_that_cannot_be_written_costs_only_time(
    smollm: LanguageModel, counted: list[str], own_cache: Path
) -> None:
    own_cache.mkdir()
    (own_cache / "tokens").write_text("a file where a folder should be")
    for _ in range(2):
        assert ModelTokenizer.load(smollm.folder).encode(TEXTS[0])
    assert len(counted) == 2


def test_another_tokenizer_in_the_same_place_has_a_table_of_its_own(
    smollm: LanguageModel, tmp_path: Path, counted: list[str]
) -> None:
    file = tmp_path / "tokenizer.json"
    frame = json.loads((smollm.folder / "tokenizer.json").read_text(encoding="utf-8"))
    file.write_text(json.dumps(frame), encoding="utf-8")
    before = ModelTokenizer.load(tmp_path).encode("the folder")
    frame["model"]["merges"] = frame["model"]["merges"][:100]
    file.write_text(json.dumps(frame), encoding="utf-8")
    after = ModelTokenizer.load(tmp_path).encode("the folder")
    assert len(after) > len(before)
    assert ModelTokenizer.load(tmp_path).encode("the folder") == after


def test_a_tokenizer_that_cannot_be_read_is_told(tmp_path: Path, counted: list[str]) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {}}', encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelTokenizer.load(tmp_path)


def test_a_question_in_its_prompt_needs_only_excerpts(gemma: LanguageModel) -> None:
    fresh = ModelTokenizer.load(gemma.folder)  # the table was written when the model was first loaded
    questions = ["How large is an index?"]
    before = EchoEncoder(gemma).query_tokens(questions)
    assert EchoEncoder(replace(gemma, tokenizer=fresh)).query_tokens(questions) == before
    assert fresh._whole is None
