"""A partial tokenizer encodes any text as the full one does; a few short texts do not need the full one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.text import tokenizer
from echo_index.embeddings.text.partial_tokenizer import PartialTokenizer, write_table
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
def full(tokenizer_file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.encode_special_tokens = True
    return tokenizer


@pytest.fixture(scope="module")
def partial(tokenizer_file: Path, tmp_path_factory: pytest.TempPathFactory) -> PartialTokenizer:
    table = tmp_path_factory.mktemp("tables") / "table.sqlite"
    write_table(tokenizer_file, table)
    return PartialTokenizer(table)


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[tuple[list[int], list[tuple[int, int]]]]:
    tokenizer.encode_special_tokens = True
    return [(encoding.ids, encoding.offsets) for encoding in tokenizer.encode_batch(texts, add_special_tokens=False)]


def test_a_partial_tokenizer_encodes_as_the_full_one(partial: PartialTokenizer, full: Tokenizer) -> None:
    assert encode(partial.tokenizer_for(TEXTS), TEXTS) == encode(full, TEXTS)


def test_a_partial_tokenizer_of_any_text_encodes_as_the_full_one(partial: PartialTokenizer, full: Tokenizer) -> None:
    words = st.sampled_from(["\n", "\n\n", " ", "  ", "\t", "<h1>", "</h1>", "[multimodal]", "<bos>", "the", "Größe"])

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(words | st.text(max_size=8), max_size=12).map("".join))
    def check(text: str) -> None:
        assert encode(partial.tokenizer_for([text]), [text]) == encode(full, [text])

    check()


def test_a_partial_tokenizer_decodes_as_the_full_one(partial: PartialTokenizer, full: Tokenizer) -> None:
    special = [
        token for token in ("<bos>", "<eos>", "<|im_start|>", "<|im_end|>") if full.token_to_id(token) is not None
    ]
    ids = [full.token_to_id(token) for token in special]
    for text in TEXTS:
        ids += full.encode(text, add_special_tokens=False).ids
    assert partial.decoder_of(ids).decode(ids, skip_special_tokens=True) == full.decode(ids, skip_special_tokens=True)

    @settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, full.get_vocab_size() - 1), min_size=1, max_size=30))
    def check(ids: list[int]) -> None:
        expected = full.decode(ids, skip_special_tokens=True)
        assert partial.decoder_of(ids).decode(ids, skip_special_tokens=True) == expected

    check()


def test_a_partial_tokenizer_is_small(partial: PartialTokenizer) -> None:
    assert partial.tokenizer_for(TEXTS[:1]).get_vocab_size() < 500


def test_a_partial_tokenizer_knows_the_ids_of_tokens(partial: PartialTokenizer, full: Tokenizer) -> None:
    for token in ("<bos>", "<|im_start|>", "the", "no such token"):
        assert partial.id_of(token) == full.token_to_id(token)


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_longest_added_token_counts(smollm: LanguageModel, tmp_path: Path) -> None:
    frame = json.loads((smollm.folder / "tokenizer.json").read_text(encoding="utf-8"))
    frame["pre_tokenizer"]["add_prefix_space"] = True
    flags = dict.fromkeys(("special", "normalized", "single_word", "lstrip", "rstrip"), False)
    frame["added_tokens"] = [{"id": frame["model"]["vocab"][text], "content": text} | flags for text in ("a", "ab")]
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(frame), encoding="utf-8")
    write_table(file, tmp_path / "table.sqlite")
    partial = PartialTokenizer(tmp_path / "table.sqlite")
    assert encode(partial.tokenizer_for(["abthe"]), ["abthe"]) == encode(Tokenizer.from_file(str(file)), ["abthe"])


@pytest.mark.parametrize(
    "changed",
    [
        {"model": {"type": "Unigram"}},
        {"model": {"dropout": 0.1}},
        {"model": {"end_of_word_suffix": "</w>"}},
        {"added_tokens": [{"id": 5, "content": "x", "special": False, "normalized": True}]},
    ],
)
def test_a_tokenizer_that_depends_on_more_than_characters_has_no_table(
    smollm: LanguageModel, tmp_path: Path, changed: dict[str, object]
) -> None:
    frame = json.loads((smollm.folder / "tokenizer.json").read_text(encoding="utf-8"))
    for name, value in changed.items():
        frame[name] = frame[name] | value if isinstance(value, dict) else value
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(frame), encoding="utf-8")
    write_table(file, tmp_path / "table.sqlite")
    assert not (tmp_path / "table.sqlite").exists()


@pytest.fixture
def full_reads(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> list[str]:
    """Return the files of the full tokenizers that were read; every tokenizer counts as large."""
    read: list[str] = []

    class Counted:
        @staticmethod
        def from_file(name: str) -> Tokenizer:
            read.append(name)
            return Tokenizer.from_file(name)

    monkeypatch.setattr(tokenizer, "Tokenizer", Counted)
    monkeypatch.setattr(tokenizer, "_LARGE", 0)
    return read


def test_a_few_queries_do_not_need_the_full_tokenizer(smollm: LanguageModel, full_reads: list[str]) -> None:
    first = ModelTokenizer.load(smollm.folder)
    assert len(full_reads) == 1
    second = ModelTokenizer.load(smollm.folder)
    assert (second.bos_id, second.end_id) == (first.bos_id, first.end_id)
    assert [second.encode(text) for text in TEXTS] == [first.encode(text) for text in TEXTS]
    assert len(full_reads) == 1


def test_a_long_text_is_encoded_by_the_full_tokenizer(smollm: LanguageModel, full_reads: list[str]) -> None:
    ids = ModelTokenizer.load(smollm.folder).encode("A long text. " * 1000)
    vocabulary = ModelTokenizer.load(smollm.folder)
    assert vocabulary.encode("A long text. " * 1000) == ids
    assert len(full_reads) == 2
    vocabulary.encode("A question?")
    assert len(full_reads) == 2


def test_many_queries_are_encoded_by_the_full_tokenizer(smollm: LanguageModel, full_reads: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    vocabulary = ModelTokenizer.load(smollm.folder)
    for number in range(400):
        vocabulary.encode(f"What is said of number {number}?")
    assert len(full_reads) == 2


def test_a_prompt_that_is_measured_before_it_is_read_counts_once(smollm: LanguageModel, full_reads: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    vocabulary, prompt = ModelTokenizer.load(smollm.folder), "A passage of some length. " * 200
    ids = vocabulary.encode(prompt)
    ids.pop()
    again = vocabulary.encode(prompt)
    assert len(again) == len(ids) + 1
    assert len(full_reads) == 1
    assert vocabulary.encode("Another?") != again
    assert vocabulary.encode(prompt) == again


def test_special_tokens_need_the_full_tokenizer(smollm: LanguageModel, full_reads: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    assert ModelTokenizer.load(smollm.folder).encode("<|im_start|>", special_tokens=True) == [1]
    assert len(full_reads) == 2


def test_an_error_names_the_text_that_is_not_unicode(smollm: LanguageModel, full_reads: list[str]) -> None:
    ModelTokenizer.load(smollm.folder)
    with pytest.raises(TextError, match="Text 1 of 2"):
        token_ids(ModelTokenizer.load(smollm.folder), ["good", "bad \udc80"])
    assert len(full_reads) == 1


def test_a_damaged_table_costs_only_time(smollm: LanguageModel, full_reads: list[str], own_cache: Path) -> None:
    right = ModelTokenizer.load(smollm.folder).encode(TEXTS[0])
    (table,) = (own_cache / "tokens").iterdir()
    whole = table.read_bytes()
    for damaged in (b"", b"not a database", whole[:8192], whole[:8192] + bytes(len(whole) - 8192)):
        table.write_bytes(damaged)
        assert ModelTokenizer.load(smollm.folder).encode(TEXTS[0]) == right
    opened = ModelTokenizer.load(smollm.folder)
    assert opened._partial is not None
    table.write_bytes(whole[:8192] + bytes(len(whole) - 8192))
    assert opened.encode(TEXTS[0]) == right


def test_a_cache_that_cannot_be_written_costs_only_time(
    smollm: LanguageModel, full_reads: list[str], own_cache: Path
) -> None:
    own_cache.mkdir()
    (own_cache / "tokens").write_text("a file where a folder should be")
    for _ in range(2):
        assert ModelTokenizer.load(smollm.folder).encode(TEXTS[0])
    assert len(full_reads) == 2


def test_another_tokenizer_in_the_same_file_has_a_table_of_its_own(
    smollm: LanguageModel, tmp_path: Path, full_reads: list[str]
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


def test_a_tokenizer_that_cannot_be_read_is_an_error(tmp_path: Path, full_reads: list[str]) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {}}', encoding="utf-8")
    with pytest.raises(ModelError, match="cannot be read"):
        ModelTokenizer.load(tmp_path)


def test_a_query_in_its_prompt_needs_only_a_partial_tokenizer(gemma: LanguageModel) -> None:
    fresh = ModelTokenizer.load(gemma.folder)  # the table was written when the model was first loaded
    questions = ["How large is an index?"]
    before = EchoEncoder(gemma).query_tokens(questions)
    assert EchoEncoder(replace(gemma, tokenizer=fresh)).query_tokens(questions) == before
    assert fresh._full is None


def test_an_answer_needs_only_a_partial_tokenizer(gemma: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = "Whales sing for hours. " * 150
    ids = gemma.tokenizer.full().encode(f"{TEXTS[3]} {prompt}", add_special_tokens=False).ids
    fresh, stream, expected = ModelTokenizer.load(gemma.folder), DecodeStream(), DecodeStream()
    fresh.encode(prompt)
    for token in ids:
        assert fresh.decode_step(stream, token) == (expected.step(gemma.tokenizer.full(), token) or "")
    assert fresh.decode(ids) == gemma.tokenizer.full().decode(ids)
    assert fresh._full is None
    monkeypatch.setattr(tokenizer, "_PARTIAL_IDS", 5)
    assert fresh.decode([*range(1000, 1010)]) == gemma.tokenizer.full().decode([*range(1000, 1010)])
    assert fresh._full is not None
