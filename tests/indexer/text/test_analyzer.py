"""Terms: stems by language, identifiers whole and in parts, bigrams in scripts without spaces between words."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echo_index.indexer.text.analyzer import (
    TERM_PUNCTUATION,
    analyzer_version,
    document_terms,
    exact_text,
    query_terms,
    split_words,
)

LANGUAGES = ("english", "german", "french", "russian", "arabic", "no such language")


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("english", "retrieving", "Retrieved"),
        ("german", "Häuser", "Haus"),
        ("german", "Straße", "Strassen"),
        ("french", "économies", "economie"),
        ("spanish", "corazones", "Corazón"),
        ("russian", "книгами", "Книга"),
        ("russian", "ёлка", "елки"),
        ("greek", "λόγος", "ΛΟΓΟΣ"),
        ("no such language", "ÉTÉ", "ete"),
    ],
)
def test_words_with_the_same_stem_are_one_term(language: str, first: str, second: str) -> None:
    assert document_terms(first, language) == document_terms(second, language)
    assert len(document_terms(first, language)) == 1


def test_stems_depend_on_the_language() -> None:
    assert document_terms("Häuser", "russian") == ["hauser"]
    assert document_terms("Häuser", "german") == ["haus"]
    assert query_terms("Häuser", ["russian", "german"]) == ["hauser", "haus"]
    assert query_terms("sea", ["english", "german"]) == ["sea"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("getUserName", "getusernam get user name"),
        ("user_name", "usernam user name"),
        ("HTTPServer2", "httpserver2 http server 2"),
        ("torch.nn.functional", "torchnnfunct torch nn function"),
        ("--no-cache", "nocach no cach"),
        ("C++, C# and C", "c c++ c c# and c"),
        ("E1234", "e1234 e 1234"),
        ("3.11.2", "3.11.2 3.11 3 11 2"),
        ("v1.2", "v1.2 v 1.2 1 2"),
        ("e-mail", "email e mail"),
        ("whale's", "whale"),
        ("l’économie", "leconomi economi"),
        ("__init__", "init"),
        ("PDFs", "pdfs pdf s"),
        ("MAX_SIZE", "maxsiz max size"),
        ("__ ... --", ""),
        ("ﬁne ＧＰＵ", "fine gpu"),
    ],
)
def test_identifiers_are_found_whole_and_by_their_parts(text: str, terms: str) -> None:
    assert document_terms(text, "english") == terms.split()


def test_an_identifier_is_one_word_of_a_query() -> None:
    text = "Why does getUserName fail with --no-cache on C++ 3.11.2 in 北京大学?"
    assert split_words(text) == "Why does getUserName fail with no-cache on C++ 3.11.2 in 北京大学".split()


def test_a_compound_is_searched_by_its_parts_only() -> None:
    assert document_terms("boundary-layer", "english") == ["boundarylay", "boundari", "layer"]
    assert query_terms("boundary-layer", ["english"]) == ["boundari", "layer"]
    assert query_terms("e-mail", ["english"]) == ["email", "e", "mail"]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("北京大学", "北京 京大 大学 学"),
        ("海", "海"),
        ("データベース。", "デー ータ タベ ベー ース ス"),
        ("「東京」とGPU", "東京 京 と gpu"),
        ("학교에서 배운다", "학교 교에 에서 서 배운 운다 다"),
        ("ﾃﾞｰﾀ", "デー ータ タ"),
    ],
)
def test_text_without_spaces_is_indexed_as_bigrams(text: str, terms: str) -> None:
    assert document_terms(text, "english") == terms.split()


def test_text_without_spaces_is_searched_as_bigrams() -> None:
    assert query_terms("北京大", ["english", "german"]) == ["北京", "京大"]
    assert query_terms("海", ["english"]) == ["海"]


def test_vowel_signs_are_part_of_words() -> None:
    assert split_words("हिन्दी में किताबें") == ["हिन्दी", "में", "किताबें"]
    assert len(document_terms("हिन्दी", "hindi")) == 1


def test_a_very_long_word_is_one_term() -> None:
    data = "aB3" * 40
    assert document_terms(data, "english") == [data.lower()]


@given(st.text(), st.sampled_from(LANGUAGES))
@example("3.11.2 of C++ and C#", "english")
@example("\u0327 ¸", "english")
def test_the_words_of_any_text_find_its_terms(text: str, language: str) -> None:
    terms = document_terms(text, language)
    assert all(term and not term.isspace() for term in terms)
    punctuation = {character for term in terms for character in term if character.isascii() and not character.isalnum()}
    assert punctuation <= {*TERM_PUNCTUATION}, "the full-text table splits terms at other characters"
    assert not any(character.isspace() for term in terms for character in term)
    for word in split_words(text):
        searched = query_terms(word, [language])
        assert {*searched} <= {*terms}
        assert searched or set(word) <= {"_"} or not any(character.isalnum() for character in word)


@pytest.mark.parametrize(
    "repeated", ["1", "1,11", "1.111", "1 111 ", "1^", "ー", "ア", ".a", "A&", "¹", "1\u00a0", "1.1"]
)
def test_long_runs_take_linear_time(repeated: str) -> None:
    assert document_terms(repeated * 20_000, "english")


def test_the_version_changes_with_the_terms() -> None:
    """If this fails, raise `_VERSION` of the analyzer, and change the hash: indexes must be filled anew."""
    texts = (
        "The whales' HTTPServer2, 3.11.2 and 1,234 of C++; IT is e-mail.",
        "Die Häuser in Łódź",
        "東京コンピューター",
    )
    terms = [(document_terms(text, language), exact_text(text)) for text in texts for language in ("english", "german")]
    version, *_ = analyzer_version().split(",")
    assert (version, sha256(repr(terms).encode()).hexdigest()[:16]) == ("1", "25c927668d8a0f21")
