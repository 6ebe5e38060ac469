"""Words are found however they are typed: without accents, on another keyboard, with digits in groups, in capitals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from indexer_helpers import full_text_is_right, make_version_3

from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.fts_index import document_language
from echo_index.indexer.catalog.records import ChunkRow, DocumentRow, SearchFilter
from echo_index.retriever.search.lexical import parse_lexical_query

Find = Callable[..., list[str]]
OTHERS = (
    "The whales of the deep sea are hunted, and it is known to us who they are.",
    "A list: 1, 2, 3, 100 and 1014.",
)

LETTERS = [
    ("lodz", "The tram museum of Łódź opens on Friday."),
    ("LODZ", "The tram museum of Łódź opens on Friday."),
    ("Łódź", "The tram museum of Lodz opens on Friday."),
    ("soren", "The letters of Søren lie in the chest."),
    ("Soeren", "The letters of Søren lie in the chest."),
    ("oster", "The letters of Mr Øster lie in the chest."),
    ("oster", "Where are Østers letters?"),
    ("diyarbakir", "İstanbul ve Diyarbakır için bilet alındı."),
    ("DIYARBAKIR", "İstanbul ve Diyarbakır için bilet alındı."),
    ("istanbul", "İSTANBUL VE DİYARBAKIR"),
    ("ilgaz", "Ilgaz dağı yolu kapalı."),
    ("dagi", "Ilgaz dağı yolu kapalı."),
    ("strasse", "Die Straße am Fluß ist gesperrt."),
    ("STRASSE", "Die Straße am Fluß ist gesperrt."),
    ("straßen", "Die Strasse am Fluss ist gesperrt."),
    ("Fluss", "Die Wellen des Flusses sind hoch, und das ist schön."),
    ("Fluß", "Die Wellen des Flusses sind hoch, und das ist schön."),
    ("strasse", "Straße"),
    ("Groesse", "Die Größe der Schuhe ist wichtig, und das ist nicht neu."),
    ("Grosse", "Die Größe der Schuhe ist wichtig, und das ist nicht neu."),
    ("Größe", "Die Groesse der Schuhe ist wichtig, und das ist nicht neu."),
    ("Mueller", "A letter from Müller"),
    ("Müller", "A letter from Mueller"),
    ("muller", "A letter from Müller"),
    ("Aarhus", "Toget til Århus er forsinket, og det er ikke nyt."),
    ("AERGER", "ÄRGER UND ÄHNLICHES"),
    ("dalat", "Coffee from ĐàLạt"),
    ("da lat", "Coffee from Đà Lạt"),
    ("duong pho", "đường phố"),
    ("aegir", "Ægir brews ale for the gods."),
    ("oeuvre", "The œuvre and the encyclopædia"),
    ("encyclopaedia", "The œuvre and the encyclopædia"),
    ("thor", "Þór sat down."),
    ("gudrun", "Guðrún sat down."),
    ("hal", "Ħal Qormi"),
    ("tjallat", "Ŧjallat"),
    ("sapmi ngo", "Ŋgo"),
    ("kalaallit", "ĸalaallit"),
    ("final", "ﬁnal oﬀers"),
    ("offer", "ﬁnal oﬀers"),
    ("gpu", "A ＧＰＵ is fast"),
    ("eleves", "Les élèves sont dans la cour, et on les voit."),
    ("élève", "Les eleves sont dans la cour, et on les voit."),
    ("nino", "Los niños son felices en la playa."),
    ("acao", "Não é uma ação que se vê com os olhos."),
    ("ação", "Nao e uma acao que se ve com os olhos."),
    ("bucuresti", "București"),
    ("cesky", "Český Krumlov"),
    ("azerbaycan", "Azərbaycan"),
    ("Schiffahrt", "Schiff\u00adahrt"),
    ("e-mail", "Write an e\u2011mail"),
]
SCRIPTS = [
    ("λογος", "ὁ λόγος"),
    ("ΛΟΓΟΣ", "ὁ λόγος"),
    ("λόγος", "Ο ΛΟΓΟΣ"),
    ("елка", "Новая ёлка"),
    ("ёлка", "Новая елка"),
    ("замок", "за́мок"),
    ("район", "Наш район"),
    ("об'єкт", "обʼєкт"),
    ("احمد", "كتاب أحمد"),
    ("أحمد", "كتاب احمد"),
    ("اسلام", "إسلام"),
    ("قران", "قرآن"),
    ("كتاب", "كـــتاب"),
    ("كتاب", "کتاب"),
    ("کتاب", "كِتَابٌ"),
    ("مدرسه", "مدرسة"),
    ("مدرسة", "مدرسه"),
    ("مصطفي", "مصطفى"),
    ("فارسي", "فارسی"),
    ("3", "صفحة ٣"),
    ("٣", "page 3"),
    ("1404", "سال ۱۴۰۴"),
    ("שלום", "שָׁלוֹם"),
    ("בית", "בית־ספר"),
    ("फिल्म", "फ़िल्म"),
    ("फ़िल्म", "फिल्म"),
    ("माँ", "मां"),
    ("123", "१२३"),
    ("カタカナ", "ｶﾀｶﾅ"),
    ("ガイド", "ｶﾞｲﾄﾞ"),
    ("학교", "\u1112\u1161\u11a8\u1100\u116d"),
]
GROUPED = (
    *("1234567", "1,234,567", "1 234 567", "1.234.567", "1'234'567", "1’234’567", "1_234_567"),
    *("1\u00a0234\u00a0567", "1\u202f234\u202f567", "1\u2009234\u2009567"),
)
NUMBERS = [
    *((typed, f"In all {number} men") for typed in GROUPED for number in GROUPED),
    ("1234567", "In all 12,34,567 men"),
    ("1234567", "١٬٢٣٤٬٥٦٧"),
    ("1234", "It cost 1,234 crowns."),
    ("1234", "It cost $1,234."),
    ("1,234", "It cost 1234 crowns."),
    ("1.234", "It cost 1,234 crowns."),
    ("1234.56", "It cost 1,234.56 crowns."),
    ("1234.56", "It cost 1.234,56 crowns."),
    ("1,234.56", "It cost 1\u202f234,56 crowns."),
    ("1.234,56", "It cost 1,234.56 crowns."),
    ("1234,56", "It cost 1,234.56 crowns."),
    ("3.5", "It is 3,5 miles."),
    ("0.123", "It is 0,123 miles."),
    ("3.11", "Python 3.11.2"),
    ("192.168.100.200", "The host 192.168.100.200 is down."),
    ("192.168.100", "The host 192.168.100.200 is down."),
    ("2026-11-29", "On 2026-11-29"),
    ("044 123 45 67", "Call 044 123 45 67"),
    ("10^14", "There are 10¹⁴ of them."),
    ("10¹⁴", "There are 10^14 of them."),
    ("10^{14}", "There are 10¹⁴ of them."),
    ("10^-3", "There are 10⁻³ of them."),
    ("H2O", "Drink H₂O."),
    ("H₂O", "Drink H2O."),
    ("1/2", "Take ½ of it."),
    ("½", "Take 1/2 of it."),
    ("whale", "Whale¹ and boat²"),
]
IDENTIFIERS = [
    ("xml file", "parseXMLFile"),
    ("parse_xml_file", "parseXMLFile"),
    ("ipv4", "IPv4Address"),
    ("IPv4", "IPv4Address"),
    ("address", "IPv4Address"),
    ("snake2camel", "snake2camel"),
    ("camel", "snake2camel"),
    ("username", "user.name"),
    ("c.txt", "a/b/c.txt"),
    ("iphone", "iPhone15"),
    ("iPhone 15", "iPhone15"),
    ("iphone15", "iPhone15"),
    ("USA", "The U.S.A. is large."),
    ("U.S.A.", "The USA is large."),
    ("U.S.", "The US is large."),
    ("US", "The U.S. is large."),
    ("AT&T", "A call by AT&T"),
    ("R&D", "The R&D team"),
    ("C++", "We use C++ here."),
    ("C#", "We use C# here."),
    ("F#", "We use F# here."),
    (".NET", "We use .NET here."),
    ("node.js", "We use Node.js here."),
    ("nodejs", "We use Node.js here."),
    ("ORA-12541", "ORA-12541: no listener"),
    ("A-4", "The form A-4"),
    ("$100", "It is $100."),
    ("50%", "It is 50% off."),
    ("#42", "See #42."),
    ("@name", "Ask @name."),
    ("--no-cache", "Add --no-cache."),
]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Return a function that builds a catalog of texts and returns those that a query finds, best first."""

    def find(typed: str, *texts: str, exact: bool = False, change: Callable[[Path], None] | None = None) -> list[str]:
        path = tmp_path / "catalog.sqlite"
        with closing(Catalog(path, create=True)) as catalog:
            for number, text in enumerate(texts):
                row = ChunkRow(text, (), 0, len(text), None, 1, f"{number}".encode())
                document = DocumentRow(f"{number}", "", 1, 1, "text", "", language=document_language("text", text))
                catalog.put_document(document, [row], generation=1)
        if change:
            change(path)
        with closing(Catalog(path)) as catalog:
            query = parse_lexical_query(typed, catalog.languages(), exact=exact)
            matches = catalog.match(query, k=9, where=SearchFilter(), generation=1)
            chunks = catalog.chunks([key for key, _ in matches])
            return [chunks[key].chunk.text for key, _ in matches]

    return find


@pytest.mark.parametrize(("typed", "text"), [*LETTERS, *SCRIPTS, *NUMBERS, *IDENTIFIERS])
def test_words_are_found_however_they_are_typed(find: Find, typed: str, text: str) -> None:
    assert find(typed, *OTHERS, text)[:1] == [text]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ('"Strasse am Fluss"', "Die Straße am Fluß ist gesperrt."),
        ('"straße am fluß"', "Die Strasse am Fluss ist gesperrt."),
        ('"museum of lodz"', "The tram museum of Łódź opens."),
        ('"ve diyarbakir"', "İstanbul ve Diyarbakır"),
        ('"soren oster"', "The letters of Søren Øster"),
        ("łód*", "The museum of Lodz"),
        ("lod*", "The museum of Łódź"),
        ('"1234567 men"', "In all 1,234,567 men"),
        ('"1.234,50 crowns"', "It cost 1,234.50 crowns."),
        ('"page 3"', "page ٣"),
        ('"λογος του"', "ὁ λόγος τοῦ"),
        ('"10^14 of"', "There are 10¹⁴ of them."),
        ('"3 1/2 cups"', "Take 3½ cups."),
        ('"コンピューター"', "このコンピュータは速い。"),
        ('"コンピュータ"', "このコンピューターは速い。"),
    ],
)
def test_phrases_and_prefixes_are_found_however_they_are_typed(find: Find, typed: str, text: str) -> None:
    assert find(typed, *OTHERS, text) == [text]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("1014", "There are 10¹⁴ of them."),
        ("123", "It was 1, 2, 3."),
        ("мои", "мой"),
        ("nü", "Das neue Haus"),
        ("Isral", "Israel is a name."),
        ("31", "Take 3½ cups."),
        ("カタカナ", "かたかな"),
        ("漢字", "汉字"),
        ("234567", "In 1\u00a0234\u00a0567 men"),
    ],
)
def test_what_is_written_differently_is_not_found(find: Find, typed: str, text: str) -> None:
    assert find(typed, text) == []


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("IT department", "The head of IT has left."),
        ("what does IT do", "The head of IT has left."),
        ("IT", "The head of IT has left."),
        ("WHO guidelines", "A report of the WHO has come."),
        ("what is WHO", "A report of the WHO has come."),
        ("vitamin A", "Vitamin A is in carrots."),
        ("The Who", "The Who sang."),
        ("AND gate", "An AND with two inputs"),
        ("what is R?", "Plots in R"),
    ],
)
def test_acronyms_that_look_like_stop_words_are_searched(find: Find, typed: str, text: str) -> None:
    others = ("Who is it, and what did it do to it? It is it.", "Vitamin B is a vitamin in a fish, and in a whale.")
    assert find(typed, *others * 3, text)[0] == text


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("IT department", ("IT", "department")),
        ("It department", ("department",)),
        ("WHAT IS THE WHALE", ("WHALE",)),
        ("WHO COVID", ("WHO", "COVID")),
        ("hepatitis A and B", ("hepatitis", "A", "B")),
        ("A whale", ("whale",)),
        ("2 OR 3", ("2", "OR", "3")),
        ("to be or not to be", ("to", "be", "or", "not", "to", "be")),
    ],
)
def test_capitals_tell_names_from_stop_words(typed: str, words: tuple[str, ...]) -> None:
    assert parse_lexical_query(typed, ["english"]).words == words


def test_two_ways_to_stem_a_word_do_not_count_twice(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path / "catalog.sqlite", create=True)) as catalog:
        for name, text in (("a", "Größe"), ("b", "whale")):
            row = ChunkRow(text, (), 0, len(text), None, 1, text.encode())
            catalog.put_document(DocumentRow(name, name, 1, 1, "text", ""), [row], generation=1)
        query = parse_lexical_query("Größe whale", ["english"])
        scores = dict(catalog.match(query, k=9, where=SearchFilter(), generation=1))
    assert scores[1] <= scores[2] * 1.01


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("Łódź", "The tram museum of Łódź opens."),
        ('"museum of Łódź"', "The tram museum of Łódź opens."),
        ("мой район", "Это мой район."),
        ("1,234,567", "In all 1,234,567 men"),
        ("getUserName", "def getUserName"),
        ("élèves", "Les élèves"),
        ("AT&T", "AT&T"),
        (".NET", ".NET"),
        ("größ*", "Die Größe"),
    ],
)
def test_a_catalog_of_version_3_is_searched_as_before(find: Find, typed: str, text: str) -> None:
    assert find(typed, *OTHERS, text, change=make_version_3)[:1] == [text]


def test_a_catalog_of_version_3_is_migrated(find: Find, tmp_path: Path) -> None:
    text = "The tram museum of Łódź opens."
    assert find("lodz", text, change=make_version_3) == []
    with closing(Catalog(tmp_path / "catalog.sqlite", write=True)) as catalog:
        for typed in ("lodz", '"museum of lodz"'):
            query = parse_lexical_query(typed, catalog.languages())
            assert len(catalog.match(query, k=9, where=SearchFilter(), generation=1)) == 1
        assert full_text_is_right(catalog.path)


def test_removed_words_leave_the_full_text(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path / "catalog.sqlite", create=True)) as catalog:
        for text in ("Łódź am Fluß", "Ærø"):
            row = ChunkRow(text, ("Größe",), 0, len(text), None, 1, text.encode())
            catalog.put_document(DocumentRow("a", text, 1, 1, "text", "Straße"), [row], generation=1)
        catalog.purge(before=1)
        words = catalog.database.rows("SELECT rowid FROM exact_words WHERE exact_words MATCH 'lodz'")
        assert words == [] and full_text_is_right(catalog.path)
        with catalog.database.transaction() as connection:
            connection.execute("INSERT INTO exact_words (exact_words, rank) VALUES ('integrity-check', 1)")
            connection.execute("CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab(main, exact_words, row)")
            [*terms] = connection.execute("SELECT term FROM temp.vocabulary ORDER BY term")
    assert terms == [("aero",), ("grosse",), ("strasse",)]
