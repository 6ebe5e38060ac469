"""Pictures of text are read by OCR: pages of PDFs, picture files, attachments; in order, and with their confidence."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path, PurePath

import pytest
from PIL import Image
from scan_files import MINUTES, error_rate, page_picture, picture_file, scanned

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import has_reader, parse_document, readers_version
from echo_index.indexer.documents.ocr import engine as engines
from echo_index.indexer.documents.ocr import recognizer as recognizing
from echo_index.indexer.documents.ocr.lines import Area, Line, Word
from echo_index.indexer.documents.ocr.rapid import RapidEngine
from echo_index.indexer.documents.ocr.reading_order import paragraphs
from echo_index.indexer.documents.ocr.recognizer import Recognizer
from echo_index.indexer.documents.readers.pdf.omissions import ONLY_PICTURES
from echo_index.indexer.documents.readers.scans import pictures as picture_reader
from echo_index.indexer.documents.recognition import ocr_hint
from echo_index.indexer.sandbox.document_reader import DocumentReader
from echo_index.indexer.sandbox.process import Worker
from tests.indexer.documents.test_pdf_pages import pdf, words

needs_rapidocr = pytest.mark.skipif(
    not find_spec("rapidocr"), reason='RapidOCR is not installed: pip install "echo-index[ocr]"'
)
PICTURE = "q 600 0 0 800 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q "


class Reading:
    """An engine that reads these pages, one after the other, and keeps their pictures."""

    name = "reading 1"

    def __init__(self, *pages: Sequence[Line] | DocumentError) -> None:
        self._pages = iter(pages)
        self.pictures: list[Image.Image] = []

    def recognize(self, picture: Image.Image, *, seconds: float) -> Sequence[Line]:
        self.pictures.append(picture)
        page = next(self._pages)
        if isinstance(page, DocumentError):
            raise page
        return page


def line(text: str, left: float = 0, top: float = 0, *, width: float = 0, sure: float = 1.0) -> Line:
    """Return a line 20 high; a word with a question mark behind it is unsure."""
    parts = tuple(Word(word.rstrip("?"), 0.5 if word.endswith("?") else sure) for word in text.split())
    return Line(parts, Area(left, top, left + (width or 10 * len(text)), top + 20))


def lines(*texts: str) -> list[Line]:
    return [line(text, top=30 * number) for number, text in enumerate(texts)]


def read(
    content: bytes, engine: Reading, name: str = "scan.pdf", on_page: Callable[[int, int], None] = print
) -> Document:
    return parse_document(content, PurePath(name), recognizer=Recognizer(engine, on_page=on_page))


def recognized(document: Document) -> list[tuple[str, float, list[str]]]:
    """Return what was recognized: text, confidence, and the uncertain words."""
    return [
        (
            document.text[item.start : item.end],
            item.recognition.confidence,
            [document.text[start:end] for start, end in item.recognition.uncertain],
        )
        for item in document.recognized
    ]


def in_order(*found: Line) -> str:
    """Return paragraphs as texts that blank lines divide."""
    return "\n\n".join(
        "\n".join(" ".join(word.text for word in row) for row in paragraph) for paragraph in paragraphs(found)
    )


# What RapidOCR reads


@needs_rapidocr
def test_a_noisy_crooked_scan_is_read_nearly_without_errors_within_the_limits_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "minutes.pdf"
    path.write_bytes(picture_file(scanned(page_picture(MINUTES, size=(8.27, 3)), degrees=1), format="PDF"))
    with DocumentReader() as reader:
        document = reader.read(path).document
    with DocumentReader(ocr=False) as reader:
        failure = reader.read(path).failure
    assert document
    assert error_rate(document.text, MINUTES) <= 0.02
    [item] = document.recognized
    assert (item.start, item.end) == (0, len(document.text))
    assert item.recognition.confidence > 0.95
    assert failure
    assert failure.message == ONLY_PICTURES


@needs_rapidocr
def test_umlauts_and_accents_of_a_page_on_its_side_are_read() -> None:
    text = "Größere Übungen müssen für 12,5 % ausfallen. L'élève naïf a reçu un garçon à Châteauneuf, où êtes-vous?"
    engine = RapidEngine.installed()
    assert engine
    page = scanned(page_picture(text, dots_per_inch=200, size=(5, 1.5)), degrees=90)  # read on its head when turned
    document = parse_document(picture_file(page), PurePath("a.png"), recognizer=Recognizer(engine))
    assert error_rate(document.text, text) <= 0.02


# The order of reading


def test_columns_of_prose_are_read_one_after_the_other_below_a_title_across_both() -> None:
    left = [line(f"the left column goes on here {n}", top=50 + 30 * n, width=300) for n in range(5)]
    right = [line(f"the right column goes on here {n}", 340, 62 + 30 * n, width=300) for n in range(5)]
    title = line("A title that runs across both of the columns", 40, 0, width=560)
    footer = line("Page 7 of the journal, printed in two columns", 40, 300, width=560)
    read = in_order(*right, footer, *left, title).split("\n")
    assert [text for text in read if text] == [
        "A title that runs across both of the columns",
        *(f"the left column goes on here {n}" for n in range(5)),
        *(f"the right column goes on here {n}" for n in range(5)),
        "Page 7 of the journal, printed in two columns",
    ]


def test_three_columns_are_read_one_after_the_other() -> None:
    columns = [
        line(f"column {name} has its lines {n}", 340 * number, 30 * n, width=300)
        for n in range(6)
        for number, name in enumerate(("one", "two", "three"))
    ]
    expected = [f"column {name} has its lines {n}" for name in ("one", "two", "three") for n in range(6)]
    assert [text for text in in_order(*columns).split("\n") if text] == expected


def test_rows_of_tables_stay_rows() -> None:
    cells = [("Item", "Quantity", "Price"), *((f"Beam {n}", str(7 * n), f"{n},250.00") for n in range(1, 9))]
    table = [
        line(cell, 250 * column, 30 * number + 3 * column)
        for number, row in enumerate(cells)
        for column, cell in enumerate(row)
    ]
    assert in_order(*table) == "\n".join(" ".join(row) for row in cells)


def test_paragraphs_begin_behind_gaps_at_indents_and_at_other_sizes() -> None:
    title = Line((Word("Minutes", 1.0),), Area(0, 0, 200, 40))
    assert in_order(
        title,
        line("The first paragraph", top=60),
        line("has two lines.", top=90),
        line("The second follows a gap", top=150),
        line("and goes on.", top=180),
        line("The third is indented", 40, top=210),
        line("only at its start.", top=240),
    ) == (
        "Minutes\n\nThe first paragraph\nhas two lines.\n\nThe second follows a gap\nand goes on.\n\n"
        "The third is indented\nonly at its start."
    )
    assert in_order() == ""


def test_crooked_lines_of_narrow_print_are_not_taken_for_one() -> None:
    assert in_order(line("The first line", top=0, width=300), line("and the second", top=9, width=300)) == (
        "The first line\nand the second"
    )


# Text


def test_divided_words_are_joined_and_uncertain_words_marked() -> None:
    page = lines("A divi-", "ded word? and well-", "known self-", "ish ones, the E-? 7", "4-", "5 end.")
    document = read(picture_file(Image.new("L", (100, 100))), Reading(page), "a.png")
    assert document.text == "A divided word and well-known selfish ones, the E- 7\n4-\n5 end."
    [(text, confidence, uncertain)] = recognized(document)
    assert (text, uncertain) == (document.text, ["word", "E-"])
    assert 0.9 < confidence < 1.0
    assert (document.format, document.title, document.pages, document.has_own_title) == ("image", "a", (), False)


def test_a_divided_word_is_as_sure_as_its_less_sure_part() -> None:
    document = read(picture_file(Image.new("L", (100, 100))), Reading(lines("One divi-", "ded? word")), "a.png")
    assert [uncertain for _, _, uncertain in recognized(document)] == [["divided"]]


# Pages of PDF


def test_only_pages_that_are_pictures_are_recognized_and_reported() -> None:
    reported: list[tuple[int, int]] = []
    typed = words("A page that was typed.", 50, 700)
    engine = Reading(lines("Scanned? text"), [], lines("The third scan"))
    document = read(
        pdf([typed, PICTURE, PICTURE, "", PICTURE]), engine, on_page=lambda page, pages: reported.append((page, pages))
    )
    assert document.text == "A page that was typed.\n\nScanned text\n\n\n\n\n\nThe third scan"
    assert [(text, uncertain) for text, _, uncertain in recognized(document)] == [
        ("Scanned text", ["Scanned"]),
        ("The third scan", []),
    ]
    assert document.omissions == ("no text on page 3",)
    assert reported == [(2, 5), (3, 5), (5, 5)]
    assert [document.page(item.start) for item in document.recognized] == [2, 5]


def test_a_page_is_drawn_with_enough_dots_and_not_too_many() -> None:
    engine = Reading(lines("text"), lines("text"))
    read(pdf([PICTURE]), engine)
    read(pdf([PICTURE], page="/MediaBox[0 0 14000 14000]"), engine)
    small, large = engine.pictures
    assert (small.mode, small.size) == ("L", (1667, 2223))
    assert large.width * large.height <= 12_100_000


def test_what_is_typed_over_a_scan_is_kept_and_not_repeated() -> None:
    page = PICTURE + words("Invoice 4711 - Page 1", 50, 750)
    engine = Reading(lines("Invoice 4711 Page 1", "Beams cost 300? pounds."))
    document = read(pdf([page]), engine)
    assert document.text == "Invoice 4711 - Page 1\n\nBeams cost 300 pounds."
    assert [(text, uncertain) for text, _, uncertain in recognized(document)] == [("Beams cost 300 pounds.", ["300"])]
    small = "q 100 0 0 100 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID \x00 EI Q " + words("A logo", 50, 750)
    assert read(pdf([small]), Reading()).text == "A logo"
    whole = PICTURE + "".join(words("A layer of text says all. " * 3, 20, 20 * n) for n in range(20))
    assert not read(pdf([whole]), Reading()).recognized


def test_pages_that_cannot_be_recognized_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognizing, "MAX_PAGES", 2)
    engine = Reading(DocumentError("It took too long."), lines("text"))
    document = read(pdf([PICTURE] * 4), engine)
    assert document.omissions == (
        "page 1, which OCR gave up after 30 seconds or an error",
        "pages 3 to 4, as OCR reads at most 2,000 pages of a file",
    )
    with pytest.raises(DocumentError, match=r"^OCR does not read it: page 1, which OCR gave up"):
        read(pdf([PICTURE]), Reading(DocumentError("It took too long.")))
    with pytest.raises(DocumentError, match=r"^It holds only pictures, and OCR finds no text in them\.$"):
        read(pdf([PICTURE]), Reading([]))


def test_a_scan_attached_to_a_mail_is_recognized_at_its_place() -> None:
    picture = picture_file(Image.new("L", (100, 100), 255))
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"] = "A letter"
    mail.set_content("See the scan.")
    mail.add_attachment(picture, maintype="image", subtype="png", filename="letter.png")
    document = read(mail.as_bytes(), Reading(lines("Dear? Sir")), "letter.eml")
    assert [(text, uncertain) for text, _, uncertain in recognized(document)] == [("Dear Sir", ["Dear"])]
    assert document.place(document.recognized[0].start) == "attachment letter.png"
    without = parse_document(mail.as_bytes(), PurePath("letter.eml"))
    assert without.omissions == ("attachment letter.png",)


# Picture files


def test_the_frames_of_a_tiff_are_pages() -> None:
    frames = [Image.new("L", (100 + n, 100)) for n in range(3)]
    engine = Reading(lines("One"), [], lines("Three"))
    document = read(picture_file(*frames, format="TIFF"), engine, "a.tif")
    assert (document.text, document.pages) == ("One\n\n\n\nThree", (0, 5, 7))
    assert [picture.width for picture in engine.pictures] == [100, 101, 102]
    moving = picture_file(*[Image.new("L", (100, 100), 80 * n) for n in range(3)], format="WEBP")
    assert read(moving, Reading(lines("One")), "a.webp").pages == ()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_each_format_is_read_upright_in_shades_of_gray(format: str) -> None:
    picture = Image.new("RGB", (60, 40), "white")
    picture.paste((0, 0, 0), (0, 0, 60, 20))
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    picture.save(file, format=format, **({} if format == "BMP" else {"exif": exif}))
    engine = Reading(lines("text"))
    read(file.getvalue(), engine, f"a.{format.lower()}")
    [seen] = engine.pictures
    assert (seen.mode, seen.size) == ("L", (60, 40) if format == "BMP" else (40, 60))
    if format != "BMP":
        assert seen.getpixel((35, 30)) < 20 < 230 < seen.getpixel((5, 30))


def test_transparent_and_deep_pictures_are_read_as_they_are_seen() -> None:
    transparent = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    deep = Image.new("I;16", (50, 50), 65535)
    palette = transparent.quantize()
    for picture in (transparent, deep, palette, Image.new("1", (50, 50), 1), Image.new("LA", (50, 50), (255, 255))):
        engine = Reading(lines("text"))
        read(picture_file(picture), engine, "a.png")
        assert engine.pictures[0].getpixel((25, 25)) == 255, picture.mode


def test_pictures_that_are_broken_or_too_large_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    good = picture_file(scanned(page_picture("text", size=(2, 1))))
    with pytest.raises(DocumentError, match=r"^It is not a readable picture: "):
        read(good[: len(good) // 2], Reading(), "a.png")
    with pytest.raises(DocumentError, match=r"^It is not a readable picture\.$"):
        read(b"GIF89a not one of these", Reading(), "a.png")
    with pytest.raises(DocumentError, match=r"^It is a picture, and OCR, which would read it, is off"):
        parse_document(good, PurePath("a.png"))
    with pytest.raises(DocumentError, match=r"^OCR finds no text in it\.$"):
        read(good, Reading([]), "a.png")
    bomb = picture_file(Image.new("1", (20_000, 9_000)))
    assert len(bomb) < 50_000
    with pytest.raises(DocumentError, match=r"It has (20,000 by 9,000|too many) pixels"):
        read(bomb, Reading(), "a.png")
    monkeypatch.setattr(picture_reader, "_MAX_FRAMES", 2)
    with pytest.raises(DocumentError, match=r"^It has 3 frames; the limit is 2\.$"):
        read(picture_file(*[Image.new("L", (20, 20))] * 3, format="TIFF"), Reading(), "a.tiff")


def test_tiny_pictures_are_not_recognized_and_huge_ones_are_reduced() -> None:
    with pytest.raises(DocumentError, match=r"^OCR finds no text in it\.$"):
        read(picture_file(Image.new("L", (400, 9))), Reading(), "a.png")
    engine = Reading(lines("text"))
    read(picture_file(Image.new("L", (10_000, 4_000))), engine, "a.png")
    width, height = engine.pictures[0].size
    assert width * height <= 16_000_000
    assert width / height == pytest.approx(2.5, rel=0.01)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow names what is wrong
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_mutated_pictures_give_a_document_or_a_reason(format: str) -> None:
    good = picture_file(scanned(page_picture("text", size=(1, 0.6))), format=format)
    randoms = random.Random(1)
    for _ in range(60):
        content = bytearray(good[: randoms.choice([len(good), len(good), randoms.randrange(1, len(good))])])
        for _ in range(randoms.choice([1, 3, 20])):
            position = randoms.randrange(min(len(content), randoms.choice([60, 200, len(content)])))
            content[position] = randoms.choice([0, 255, randoms.randrange(256)])
        with suppress(DocumentError):
            read(bytes(content), Reading(*[lines("text")] * 50), f"a.{format.lower()}")


def test_the_page_that_is_recognized_is_named_while_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = []

    def call(self: Worker, request: dict[str, object], *, activity: str) -> Iterator[dict[str, object]]:
        assert request["ocr"] is True
        for page in (1, 2):
            yield {"page": page, "pages": 2, "seconds": 9}
            named.append(reader.recognizing)
        yield {"message": "It is broken.", "remedy": None}

    monkeypatch.setattr(Worker, "call", call)
    reader = DocumentReader()
    assert reader.read(tmp_path / "scan.pdf").failure
    assert named == ["scan.pdf, page 1 of 2", "scan.pdf, page 2 of 2"]
    assert reader.recognizing == ""


def test_a_page_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(seconds=5, memory_bytes=2**31)
    try:
        child = worker._running_child()
        replies = iter([{"page": 1, "seconds": 100, "last": False}, {"text": "", "last": True}])
        monkeypatch.setattr(child, "send", lambda request: None)
        monkeypatch.setattr(child, "receive", lambda: next(replies))
        given = []
        monkeypatch.setattr(child, "start_time", given.append)
        assert [*worker.call({}, activity="Reading it")] == [{"page": 1}, {"text": ""}]
        assert given == [5, 100, 5], "for each reply"
    finally:
        worker.close()


# Engines


def test_rapidocr_gives_up_a_page_in_time_or_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    corners = ((0.0, 0.0), (90.0, 0.0), (90.0, 20.0), (0.0, 20.0))
    monkeypatch.setattr(RapidEngine, "_upright", lambda self, picture: (picture, [corners]))
    monkeypatch.setattr(RapidEngine, "_engine", lambda *arguments, **options: 1 / 0)
    with pytest.raises(DocumentError, match=r"^Recognizing it took longer than -1 seconds\.$"):
        RapidEngine("1").recognize(Image.new("L", (100, 100)), seconds=-1)
    with pytest.raises(DocumentError, match=r"^RapidOCR failed \(ZeroDivisionError\)\.$"):
        RapidEngine("1").recognize(Image.new("L", (100, 100)), seconds=9)


TESSERACT = """#!/bin/sh
case "$*" in
  --version) echo "tesseract 5.9.9"; echo " leptonica" ;;
  --list-langs) printf 'List of available languages (3):\\nosd\\ndeu\\neng\\n' ;;
  *"--psm 0"*) cat >/dev/null; printf 'Rotate: 90\\nOrientation confidence: 9.1\\n' ;;
  *tsv*) head -c 11 > "$0.seen"; cat >/dev/null; cat "$0.tsv" ;;
esac
"""


def test_tesseract_is_asked_for_words_which_are_put_into_level_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tesseract"
    program.write_text(TESSERACT)
    program.chmod(0o755)
    names = "level page_num block_num par_num line_num word_num left top width height conf text".split()
    rows = [names, [4, 1, 1, 1, 1, 0, 0, 0, 900, 60, -1, ""]]
    for number in range(6):  # rows of a table that go down to the right, in two blocks as Tesseract divides them
        rows.append([5, 1, 1, 1, number, 1, 100, 100 + 30 * number, 80, 20, 96.5, f"Beam{number}"])
        rows.append([5, 1, 1, 1, number, 2, 190, 102 + 30 * number, 60, 20, 40, '"big"'])
        rows.append([5, 1, 2, 1, number, 1, 900, 120 + 30 * number, 70, 20, 91, f"{number},250"])
    rows.append([5, 1, 3, 1, 1, 1, 100, 800, 300, 20, 12.5, "#~|"])
    (tmp_path / "tesseract.tsv").write_text("\n".join("\t".join(map(str, row)) for row in rows))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    engine = engines.TesseractEngine.installed()
    assert engine
    assert engine.name == "tesseract 5.9.9 eng+deu"
    found = engine.recognize(Image.new("L", (300, 200)), seconds=9)
    assert in_order(*found) == "\n".join(f'Beam{number} "big" {number},250' for number in range(6))
    assert [word.confidence for word in found[0].words] == [0.965, 0.4]
    assert (tmp_path / "tesseract.seen").read_bytes() == b"P5\n200 300\n", "the picture is turned upright"
    monkeypatch.setenv("PATH", "")
    assert engines.TesseractEngine.installed() is None


# What is installed


def test_pictures_have_a_reader_if_an_engine_is_installed_and_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("echo_index.indexer.documents.formats.installed_engine", lambda: None)
    assert not has_reader("a.PNG")
    without = readers_version()
    monkeypatch.setattr("echo_index.indexer.documents.formats.installed_engine", Reading)
    assert has_reader("a.PNG")
    assert not has_reader("a.PNG", ocr=False)
    assert readers_version() == f"{without}, OCR by reading 1"
    assert readers_version(ocr=False) == without


@pytest.mark.parametrize(
    ("omissions", "failures", "suffixes", "expected"),
    [
        (["no text on pages 2 to 4"], [], [], "scanned pages"),
        ([], [ONLY_PICTURES], [".png", ".exe"], "scanned pages and pictures"),
        ([], [], [".jpeg"], "pictures"),
        (["page 3, which is broken"], ["It is empty."], [".exe"], None),
    ],
)
def test_what_ocr_would_read_is_named_once(
    monkeypatch: pytest.MonkeyPatch,
    omissions: list[str],
    failures: list[str],
    suffixes: list[str],
    expected: str | None,
) -> None:
    def hint(*, ocr: bool = True) -> str:
        return ocr_hint([("a", text) for text in omissions], [("b", text) for text in failures], suffixes, ocr=ocr)

    monkeypatch.setattr("echo_index.indexer.documents.recognition.installed_engine", lambda: None)
    assert hint() == (f'OCR would read the {expected}: pip install "echo-index[ocr]"' if expected else "")
    monkeypatch.setattr("echo_index.indexer.documents.recognition.installed_engine", Reading)
    assert hint(ocr=False) == (f"OCR would read the {expected}: echo-index build --ocr" if expected else "")
    assert hint() == ""


def test_rapidocr_is_preferred_to_tesseract(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Reading(), Reading()
    monkeypatch.setattr(engines.RapidEngine, "installed", lambda: first)
    monkeypatch.setattr(engines.TesseractEngine, "installed", lambda: second)
    choose = engines.installed_engine.__wrapped__
    assert choose() is first
    monkeypatch.setattr(engines.RapidEngine, "installed", lambda: None)
    assert choose() is second
