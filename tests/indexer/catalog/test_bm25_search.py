"""BM25 search: how queries are parsed, and which chunks they match."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from indexer_helpers import make_version_2

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.fts_index import document_language
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, LexicalQuery, SearchFilter
from echo_index.retriever.search.lexical import nothing_found, parse_lexical_query

TEXTS = {
    "whales.txt": "The whales of the deep sea are hunted. Where is one of the firms that hunted them.",
    "wale.txt": "Die Wale sind die größten Tiere, und in den Häusern der Inseln ist viel von ihnen zu sehen.",
    "baleines.txt": "Les baleines sont des animaux de la mer, et on les voit dans le port avec leurs petits.",
    "ballenas.txt": "Las ballenas son los animales más grandes del mar, y se ven desde la costa en los meses fríos.",
    "kity.txt": "Киты — это самые большие животные, и их можно видеть в море, если не мешают корабли.",
    "jing.txt": "鲸是海洋中最大的动物。",
    "kujira.txt": "クジラは海で最も大きな動物です。",
    "gorae.txt": "고래는 바다에서 가장 큰 동물입니다.",
    "names.py": "def getUserName(user_id):\n    return torch.nn.functional.pad(user_id, 'E1234', '--no-cache')\n",
    "versions.txt": "Python 3.11.2 and C++ are needed; an e-mail tells of a co-operative HTTPServer2.",
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path = tmp_path_factory.mktemp("languages") / "catalog.sqlite"
    with closing(Catalog(path, create=True)) as catalog:
        for name, text in TEXTS.items():
            format_name = "code" if name.endswith(".py") else "text"
            language = document_language(format_name, text)
            row = ChunkRow(text, (), 0, len(text), None, 1, text.encode())
            catalog.put_document(DocumentRow(name, name, 1, 1, format_name, "", language=language), [row], generation=1)
        yield catalog


def found(catalog: Catalog, typed: str, *, exact: bool = False) -> list[str]:
    return list(scores(catalog, typed, exact=exact))


def scores(catalog: Catalog, typed: str, *, exact: bool = False) -> dict[str, float]:
    """Return the BM25 scores of the documents that are found, best first."""
    query = parse_lexical_query(typed, catalog.languages(), exact=exact)
    matches = catalog.match(query, k=9, where=SearchFilter(), generation=1)
    chunks = catalog.chunks([key for key, _ in matches])
    return {chunks[key].path: score for key, score in matches}


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("hunting a whale", "whales.txt"),
        ("Was ist ein Haus?", "wale.txt"),
        ("Wo sind die Walen", "wale.txt"),
        ("où est une baleine", "baleines.txt"),
        ("los mes frio", "ballenas.txt"),
        ("где корабль", "kity.txt"),
        ("最大的动物", "jing.txt"),
        ("大きな動物", "kujira.txt"),
        ("바다", "gorae.txt"),
        ("user name", "names.py"),
        ("user_name", "names.py"),
        ("nn.functional", "names.py"),
        ("e1234", "names.py"),
        ("NoCache", "names.py"),
        ("python 3.11", "versions.txt"),
        ("C++", "versions.txt"),
        ("email", "versions.txt"),
        ("cooperation", "versions.txt"),
        ("http servers", "versions.txt"),
        ('"deep sea"', "whales.txt"),
        ("„größten Tiere“", "wale.txt"),
        ("korrekt häus*", "wale.txt"),
        ("鲸", "jing.txt"),
        ("洋", "jing.txt"),
    ],
)
def test_texts_are_found_in_their_language(catalog: Catalog, typed: str, name: str) -> None:
    assert found(catalog, typed)[0] == name


def test_chunks_match_by_significant_words_only(catalog: Catalog) -> None:
    assert found(catalog, "What is the hunt of them?") == ["whales.txt"]
    assert found(catalog, "wo sind die Inseln") == ["wale.txt"]
    assert found(catalog, '"sea deep"') == []
    assert found(catalog, '"most large" whales', exact=True) == []


def test_a_word_that_stands_several_times_in_the_query_counts_more(catalog: Catalog) -> None:
    whale, user = scores(catalog, "whale"), scores(catalog, "user")
    assert set(user) - set(whale), "else this shows nothing"
    both = scores(catalog, "whale user whales, whale")
    assert both == pytest.approx({name: 3**0.75 * whale.get(name, 0) + user.get(name, 0) for name in both}, rel=1e-5)
    assert both.keys() == whale.keys() | user.keys()
    query = "Where do people hunt the whale, and from which port do they see it in the sea?"
    once, twice = scores(catalog, query), scores(catalog, f"{query} {query}")
    assert list(twice) == list(once)
    assert twice == pytest.approx({name: 2**0.75 * score for name, score in once.items()}, rel=1e-5)


def test_a_phrase_inside_a_question_raises_what_has_it(catalog: Catalog) -> None:
    plain = scores(catalog, "What does the deep sea have to do with whales?")
    quoted = scores(catalog, 'What does the "deep sea" have to do with whales?')
    assert quoted.keys() == plain.keys()
    assert [name for name in quoted if quoted[name] > plain[name] * 1.01] == ["whales.txt"]
    assert scores(catalog, 'What does the "sea deep" have to do with whales?') == pytest.approx(plain)
    assert found(catalog, 'Which is the "最大的动物" of all?')[0] == "jing.txt"


def test_a_phrase_alone_and_an_exact_query_are_required(catalog: Catalog) -> None:
    assert found(catalog, '"deep sea"') == ["whales.txt"]
    assert found(catalog, '"deep sea" "sea deep"') == []
    assert found(catalog, 'animals in the "deep sea"', exact=True) == ["whales.txt"]
    assert found(catalog, "deep sea", exact=True) == ["whales.txt"]
    assert found(catalog, "sea deep", exact=True) == []
    assert found(catalog, 'deep "sea', exact=True) == ["whales.txt"]
    assert nothing_found('"sea deep"') == "No passage has “sea deep” word for word."
    assert nothing_found("sea deep", exact=True) == "No passage has “sea deep” word for word."
    assert nothing_found('"a b" “c d”') == "No passage has “a b” and “c d” word for word."
    assert nothing_found('what is "sea deep"?') == "Nothing was found."


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("What is the whale?", LexicalQuery(("whale",))),
        ("what is Where", LexicalQuery(("Where",))),
        ("Is it a whale? What is What.", LexicalQuery(("whale", "What"))),
        ("what is the", LexicalQuery(("what", "is", "the"))),
        ("Was ist der Wal", LexicalQuery(("Wal",))),
        ("whale whale Whale", LexicalQuery(("whale", "whale", "Whale"))),
        ('find "the deep sea" of whales', LexicalQuery(("find", "deep", "sea", "whales"), (), (), ("the deep sea",))),
        ('"deep sea"?', LexicalQuery((), ("deep sea",))),
        ('"deep sea" wha*', LexicalQuery(("deep", "sea"), (), ("wha",), ("deep sea",))),
        ("“deep sea” «mer»", LexicalQuery((), ("deep sea", "mer"))),
        ('screens of 24" and 27" width', LexicalQuery(("screens", "24", "27", "width"))),
        ("the retriev* of", LexicalQuery((), (), ("retriev",))),
        ("a * b** *c torch.n*", LexicalQuery(("b", "c"), (), ("torch.n",))),
        ('an "unclosed phrase', LexicalQuery(("unclosed", "phrase"))),
        ('"" "?!" whale', LexicalQuery(("whale",))),
        ("?! ...", LexicalQuery()),
        ("_ __ é_ _whale", LexicalQuery(("é_", "_whale"))),
        ('"__" whale', LexicalQuery(("whale",))),
    ],
)
def test_a_query_is_parsed_into_words_phrases_and_prefixes(typed: str, query: LexicalQuery) -> None:
    assert parse_lexical_query(typed, ["english", "german"]) == query


def test_the_length_of_a_pasted_query_is_limited() -> None:
    assert len(parse_lexical_query(" ".join(f"w{number}" for number in range(1000)), ["english"]).words) == 256
    repeated = " ".join(f"w{number}" for number in range(200))
    assert parse_lexical_query(f"{repeated} {repeated}", ["english"]).words == tuple(repeated.split() * 2)
    assert parse_lexical_query("x" * 9_998 + " yz", ["english"]).words == ("x" * 9_998, "y")


@settings(deadline=None)
@given(st.text() | st.text(alphabet='ab"*()^:-+._{}\\\0 ANDORTNE鲸海é\ud800'))
@example('"a\0b"')
@example('"\0" \0*')
@example("_")
@example('"_ 海"')
@example("é __")
@example('"a\ud800b"')
@example("NEAR(a b) AND NOT text : c ^d + e*")
@example('"海 a" 海*')
@example(" ".join(f"word{number}" for number in range(20_000)))
@example(" ".join(f'"word{number}" word{number}*' for number in range(2_000)))
@example('"' + "a " * 20_000 + '"')
@example('"' + "海" * 5_000 + '"')
def test_no_query_is_an_error(catalog: Catalog, typed: str) -> None:
    found(catalog, typed)


@settings(deadline=None)
@given(st.text(alphabet='ab"*()^:-+._{} ANDORTNE鲸海é\0'))
def test_no_query_is_an_error_in_an_earlier_catalog(earlier: Catalog, typed: str) -> None:
    found(earlier, typed)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    path = tmp_path_factory.mktemp("earlier") / "catalog.sqlite"
    with closing(Catalog(path, create=True)) as catalog:
        row = ChunkRow("a b and the 海", (), 0, 13, None, 1, b"hash")
        catalog.put_document(DocumentRow("a.txt", "a", 1, 1, "text", ""), [row], generation=1)
    make_version_2(path)
    with closing(Catalog(path)) as catalog:
        yield catalog


def test_words_prefixes_and_phrases_are_searched_in_an_earlier_catalog(earlier: Catalog) -> None:
    assert found(earlier, "the b") == found(earlier, '"a b"') == found(earlier, "an*") == ["a.txt"]
    assert found(earlier, '"b a"') == found(earlier, "c") == []
    plain, [phrase] = scores(earlier, "see the a b")["a.txt"], scores(earlier, '"a b"').values()
    assert scores(earlier, 'see the "a b"')["a.txt"] == pytest.approx(plain + phrase)
    assert scores(earlier, 'see the "b a"')["a.txt"] == pytest.approx(plain)
