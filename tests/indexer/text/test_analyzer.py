"""Terms: stems by language, identifiers whole and in parts, pairs of characters where words are not parted."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from echo_index.indexer.text.analyzer import TERM_SIGNS, document_terms, query_terms, split_words

LANGUAGES = ("english", "german", "french", "russian", "arabic", "no such language")


@pytest.mark.parametrize(
    ("language", "one", "other"),
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
def test_words_of_one_stem_are_one_term(language: str, one: str, other: str) -> None:
    assert document_terms(one, language) == document_terms(other, language)
    assert len(document_terms(one, language)) == 1


def test_a_stem_is_that_of_the_language() -> None:
    assert document_terms("Häuser", "english") == ["hauser"]
    assert document_terms("Häuser", "german") == ["haus"]
    assert query_terms("Häuser", ["english", "german"]) == ["hauser", "haus"]
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


def test_an_identifier_is_one_word_of_a_question() -> None:
    text = "Why does getUserName fail with --no-cache on C++ 3.11.2 in 北京大学?"
    assert split_words(text) == "Why does getUserName fail with no-cache on C++ 3.11.2 in 北京大学".split()


def test_a_compound_is_looked_for_by_its_words_alone() -> None:
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
def test_runs_without_spaces_give_their_pairs_of_characters(text: str, terms: str) -> None:
    assert document_terms(text, "english") == terms.split()


def test_a_run_is_looked_for_by_its_pairs() -> None:
    assert query_terms("北京大", ["english", "german"]) == ["北京", "京大"]
    assert query_terms("海", ["english"]) == ["海"]


def test_vowel_signs_are_part_of_words() -> None:
    assert split_words("हिन्दी में किताबें") == ["हिन्दी", "में", "किताबें"]
    assert len(document_terms("हिन्दी", "hindi")) == 1


def test_data_is_found_whole_and_not_taken_apart() -> None:
    data = "aB3" * 40
    assert document_terms(data, "english") == [data.lower()]


@given(st.text(), st.sampled_from(LANGUAGES))
@example("3.11.2 of C++ and C#", "english")
@example("\u0327 ¸", "english")
def test_whatever_a_text_holds_its_terms_are_found_by_its_words(text: str, language: str) -> None:
    terms = document_terms(text, language)
    assert all(term and not term.isspace() for term in terms)
    ascii_signs = {sign for term in terms for sign in term if sign.isascii() and not sign.isalnum()}
    assert ascii_signs <= {*TERM_SIGNS}, "the table parts terms at other signs"
    assert not any(sign.isspace() for term in terms for sign in term)
    for word in split_words(text):
        asked = query_terms(word, [language])
        assert {*asked} <= {*terms}
        assert asked or set(word) <= {"_"} or not any(sign.isalnum() for sign in word)
