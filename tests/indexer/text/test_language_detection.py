"""The language of a text is detected by its stop words; what is not prose counts as English."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import TESTS

from echo_index.indexer.catalog.fts_index import document_language
from echo_index.indexer.text.language_detection import detect_language, is_stop_word, query_language
from echo_index.indexer.text.stopwords import stop_words

PROSE = {
    "english": "The whale is the largest animal that lives in the sea, and it has to come up for air.",
    "german": "Der Wal ist das größte Tier, das im Meer lebt, und er muss zum Atmen nach oben kommen.",
    "french": "La baleine est le plus grand animal qui vive dans la mer, et elle doit remonter pour respirer.",
    "spanish": "La ballena es el animal más grande que vive en el mar, y tiene que subir para respirar.",
    "italian": "La balena è il più grande animale che vive nel mare, e deve salire per respirare con la testa.",
    "portuguese": "A baleia é o maior animal que vive no mar, e ela não pode ficar sem subir para respirar.",
    "dutch": "De walvis is het grootste dier dat in de zee leeft, en hij moet naar boven om adem te halen.",
    "swedish": "Valen är det största djuret som lever i havet, och den måste upp till ytan för att andas.",
    "danish": "Hvalen er det største dyr, der lever i havet, og den skal op til overfladen for at kunne trække vejret.",
    "finnish": "Valas on suurin eläin, joka elää meressä, ja sen on noustava pintaan, jotta se voi hengittää kuin me.",
    "polish": "Wieloryb jest największym zwierzęciem, które żyje w morzu, i musi się wynurzać, aby oddychać.",
    "russian": "Кит — это самое большое животное, которое живёт в море, и он должен подниматься, чтобы дышать.",
    "turkish": "Balina denizde yaşayan en büyük hayvandır ve nefes almak için yüzeye çıkar; bu çok zor değil.",
}


@pytest.mark.parametrize("language", PROSE)
def test_the_language_of_prose_is_detected(language: str) -> None:
    assert detect_language(PROSE[language]) == language
    assert document_language("text", PROSE[language]) == language
    assert document_language("code", PROSE[language]) == "english"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Los Angeles Rams, San Diego, Los Angeles Lakers, Los Gatos, LA Galaxy",
        "Keys' debut album, Songs in A Minor, was a commercial success, selling over 12 million copies.",
        "def main(argv):\n    for i, o in enumerate(argv):\n        print(i, o)\n    e = a or u\n",
        "a e i o u y | d e l | 1 2 3",
        "我们在北京大学学习",
        "Hund und Katze",
    ],
)
def test_short_texts_and_texts_that_are_not_prose_count_as_english(text: str) -> None:
    assert detect_language(text) == "english"


def test_source_code_counts_as_english() -> None:
    for path in sorted(TESTS.rglob("test_*.py"))[:40]:
        if path != Path(__file__):
            assert detect_language(path.read_text(encoding="utf-8")) == "english", path


def test_a_long_text_is_sampled_in_all_its_parts() -> None:
    assert detect_language(PROSE["english"] * 20 + PROSE["german"] * 200) == "german"


def test_the_language_of_a_query_is_the_one_with_most_stop_words() -> None:
    languages = ["english", "german", "french"]
    assert query_language("Was ist der größte Wal".split(), languages) == "german"
    assert query_language("What is the largest whale".split(), languages) == "english"
    assert query_language("Où est la baleine".split(), languages) == "french"
    assert query_language("Was ist der größte Wal".split(), ["english", "french"]) == "english"
    assert query_language(["Wal"], languages) == "english"
    assert query_language(["der"], []) == "english"


def test_stop_words_are_recognized_with_accents_and_apostrophes() -> None:
    assert is_stop_word("What's", "english") and is_stop_word("où", "french")
    assert not is_stop_word("what's", "german")
    assert not is_stop_word("o'reilly", "english")
    assert stop_words("no such language") == frozenset()
