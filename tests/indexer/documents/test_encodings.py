"""Text is read in the encoding it was written in, and a wrong byte costs one character."""

from __future__ import annotations

import struct
import time
import zlib
from pathlib import Path

import pytest

from echo_index.errors import DocumentError
from echo_index.indexer.documents.decoding import decode, is_binary
from echo_index.indexer.documents.formats import read_document

ENGLISH = "The database Kestrel was restored from tape.\n"
RUSSIAN = "В прошлом году город построил новую школу и два детских сада.\nЖители довольны, но жалуются на шум.\n"
GREEK = "Ο δήμος θα χτίσει του χρόνου ένα νέο σχολείο κοντά στον σταθμό.\n"
CHINESE = "市政府明年将在火车站附近建一所新学校。\n居民们很高兴，但也有人担心交通会更加拥挤。\n"
JAPANESE = "市は来年、駅の近くに新しい学校を建てる予定です。\n工事は三月に始まります。\n"
KOREAN = "시는 내년에 역 근처에 새 학교를 지을 예정이다.\n"
GERMAN = "Schlüsselübergabe am Südtor, Größe 42"
POLISH = "W ubiegłym roku miasto wybudowało nową szkołę i dwa przedszkola.\n"

LEGACY = {
    "cp1252": (GERMAN, "L'élève a réussi son année", "Mañana será otro día", "It’s “fine” – really €6"),
    "iso8859-15": ("Die Größe der Äpfel überraschte alle Gärtner.", "Hälsningar från Malmö"),
    "mac-roman": ("Die Größe der Äpfel überraschte alle Gärtner.", "¿Cuántos años tiene el niño?"),
    "cp850": ("Die Größe der Äpfel überraschte alle Gärtner.", "Räksmörgås på ön"),
    "cp437": ("Größe: 42", "Mañana será otro día"),
    "cp1250": (POLISH, "Zażółć gęślą jaźń", "Příliš žluťoučký kůň", "Árvíztűrő tükörfúrógép"),
    "iso8859-2": (POLISH, "Zażółć gęślą jaźń", "Příliš žluťoučký kůň"),
    "cp852": (POLISH, "Příliš žluťoučký kůň"),
    "cp1251": (RUSSIAN, "Привет, мир!", "Доброго дня, як справи?"),
    "koi8-r": (RUSSIAN, "Привет, мир!"),
    "cp866": (RUSSIAN, "Добрый день"),
    "iso8859-5": (RUSSIAN, "Добрый день"),
    "mac-cyrillic": (RUSSIAN,),
    "cp1253": (GREEK, "Καλημέρα κόσμε"),
    "iso8859-7": (GREEK,),
    "cp1254": ("Günaydın, nasılsınız?", "Şişli'de yağmur yağıyor"),
    "cp1255": ("שלום עולם", "העירייה תבנה בשנה הבאה בית ספר חדש ליד תחנת הרכבת."),
    "cp1256": ("مرحبا بالعالم", "ستبني البلدية في العام القادم مدرسة جديدة قرب محطة القطار."),
    "cp1257": ("Ačiū už pagalbą, viskas puiku", "Nākamgad pilsēta uzcels jaunu skolu blakus dzelzceļa stacijai."),
    "tis-620": ("สวัสดีชาวโลก", "เทศบาลจะสร้างโรงเรียนใหม่ใกล้สถานีรถไฟในปีหน้า"),
    "shift_jis": (JAPANESE, "こんにちは世界"),
    "euc-jp": (JAPANESE, "東京都の天気は晴れです"),
    "iso2022_jp": (JAPANESE,),
    "gb18030": (CHINESE, "北京今天天气很好"),
    "hz": (CHINESE,),
    "big5": ("市政府明年將在火車站附近建一所新學校。", "台北今天天氣很好"),
    "euc-kr": (KOREAN, "안녕하세요 세계"),
}


@pytest.mark.parametrize("encoding", LEGACY)
def test_what_the_letters_spell_tells_encodings_apart(encoding: str) -> None:
    for text in LEGACY[encoding]:
        content = text.encode(encoding)
        assert decode(content) == text
        log = b"2024-03-01 12:00 INFO server started ok\n" * 300
        assert decode(log + content).endswith(f" ok\n{text}")


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "cp1253", "cp932", "gb18030"])
def test_a_wrong_byte_in_another_encoding_costs_one_character(encoding: str) -> None:
    text = {"cp1252": GERMAN, "cp1251": RUSSIAN, "cp1253": GREEK, "cp932": JAPANESE, "gb18030": CHINESE}[encoding]
    wrong = {"cp1252": b"\x81", "cp1251": b"\x98", "cp1253": b"\xff", "cp932": b"\x85"}.get(encoding, b"\xff")
    content = (text.rstrip("\n") + "\n").encode(encoding) * 6
    assert decode(content + wrong + b"\n") == (text.rstrip("\n") + "\n") * 6 + "\N{REPLACEMENT CHARACTER}\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"Gr\xc3\xb6\xc3\x9fe \xff S\xc3\xbcdtor", "Größe \ufffd Südtor"),
        (b"Gr\xc3\xb6\xc3\x9fe\n\x80\n", "Größe\n\ufffd\n"),
        ("Größe und Südtor".encode()[:-5], "Größe und S\ufffd"),
        (GREEK.encode() + "€".encode()[:2], GREEK + "\ufffd"),
        (GREEK.encode() + "🦊".encode()[:3] + b"\n", GREEK + "\ufffd\n"),
        (b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe \xff", "Größe \ufffd"),
        (b"Gr\xc3\xb6\xc3\x9fe caf\xe9 und Sch\xfctz GmbH", "Größe café und Schütz GmbH"),
        (RUSSIAN.encode() + b"\xe9\n", RUSSIAN + "\ufffd\n"),
        ("Ein \ufffd steht da, Größe".encode() + b" \xff", "Ein \ufffd steht da, Größe \ufffd"),
    ],
)
def test_utf8_with_stray_bytes_is_utf8(content: bytes, text: str) -> None:
    assert decode(content) == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", [ENGLISH, RUSSIAN, GREEK, CHINESE, JAPANESE, KOREAN, "Größe", "a;b\n1;2\n", "42 🦊 x\n"]
)
def test_utf16_and_utf32_need_no_mark(tmp_path: Path, text: str, encoding: str) -> None:
    for content in (text, text * 300):
        path = tmp_path / "errorlog"
        path.write_bytes(content.encode(encoding))
        assert not is_binary(path)
        assert read_document(path).text == content


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_wrong_or_cut_unit_of_utf16_costs_one_character(mark: str) -> None:
    content = (mark + ENGLISH * 3).encode("utf-16-le")
    assert decode(content + b"\x00\xd8\n\x00") == f"{ENGLISH * 3}\ufffd\n"
    assert decode(content + b"x") in (ENGLISH * 3, f"{ENGLISH * 3}\ufffd")


def test_a_mark_before_something_else_is_an_error() -> None:
    with pytest.raises(DocumentError, match=r"^It begins as UTF-16 but is not valid UTF-16\.$"):
        decode(b"\xff\xfe" + b"\x00\xd8" * 99)


def test_marks_inside_are_no_text() -> None:
    part = "\ufeffGröße\n"
    assert decode((part * 2).encode()) == "Größe\nGröße\n"
    assert decode((part * 2).encode("utf-16-le")) == "Größe\nGröße\n"


def test_text_with_a_few_nuls_is_text(tmp_path: Path) -> None:
    line = "2024-03-01 12:00 INFO server started, Größe 42\n"
    for number, content in enumerate(
        (
            line.encode() * 20 + b"\0" + line.encode(),
            line.encode() + b"\0" * 4096 + line.encode(),
            line.encode("cp1252") * 9 + b"\0\0" + line.encode("cp1252"),
            b"\0".join(b"documents/reports/%d.md" % year for year in range(1990, 2020)),
        )
    ):
        path = tmp_path / f"log{number}"
        path.write_bytes(content)
        assert not is_binary(path)
        text = read_document(path).text
        assert "\0" not in text
        assert "Größe" in text or "reports/2000.md" in text


def _binaries() -> dict[str, bytes]:
    noise = zlib.compress(bytes(range(256)) * 9) + zlib.compress(ENGLISH.encode() + bytes(range(99)))
    samples = [(position * 7919) % 65536 - 32768 for position in range(4000)]
    header = (
        b"notes.txt" + bytes(91) + b"0000644\0" + b"0001750\0" * 2 + b"00000000054\0" + b"14600000000\0" + b"012345\0 0"
    )
    return {
        "wav": b"RIFF\x24\x1f\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16) + b"data",
        "pcm": struct.pack(f"<{len(samples)}h", *samples),
        "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x20\0\0\0\x20\x08\x06\0\0\0" + noise,
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + noise,
        "without-nul": noise.replace(b"\0", b"\x01"),
        "elf": b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQ", 3, 62, 1, 4160, 64) + noise,
        "tar": (header + bytes(512 - len(header)) + ENGLISH.encode() + bytes(467)) * 3,
        "sqlite": b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20" + bytes(80) + ENGLISH.encode(),
        "doubles": struct.pack("<200d", *(number / 7 for number in range(200))),
        "integers": struct.pack("<200I", *range(70_000, 70_200)),
        "safetensors": b'\x40\0\0\0\0\0\0\0{"weight":{"dtype":"F32","shape":[99]}}' + struct.pack("<99f", *range(99)),
    }


@pytest.mark.parametrize("kind", _binaries())
def test_binary_files_are_not_taken_for_text(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(_binaries()[kind])
    assert is_binary(path)
    with pytest.raises(DocumentError, match=r"^It is a binary file\.$"):
        read_document(path)


def test_declared_encodings(tmp_path: Path) -> None:
    for name, content, expected in (
        ("a.py", "# -*- coding: koi8-r -*-\nx = 'Мир'\n".encode("koi8-r"), "Мир"),
        ("b.py", "#!/usr/bin/python\n# vim: set fileencoding=cp1250 :\nx = 'kůň'\n".encode("cp1250"), "kůň"),
        ("a.xml", '<?xml version="1.0" encoding="ISO-8859-5"?><a>СПИСОК</a>'.encode("iso8859-5"), "СПИСОК"),
        ("b.txt", "<?xml version='1.0' encoding='GB2312'?><a>镕</a>".encode("gbk"), "镕"),
        ("c.xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>Größe</a>'.encode(), "Größe"),
        ("d.xml", b'<?xml version="1.0" encoding="UTF-8"?><a>Gr\xc3\xb6\xc3\x9fe \x80 </a>', "Größe \ufffd"),
        ("e.xml", '<?xml version="1.0" encoding="nonsense"?><a>Größe</a>'.encode(), "Größe"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert expected in read_document(path).text
    page = b"<meta charset=utf-8><p>Gr\xc3\xb6\xc3\x9fe, \x80 und Caf\xe9</p>"
    (tmp_path / "a.html").write_bytes(page)
    assert read_document(tmp_path / "a.html").text == "Größe, \ufffd und Café"
    assert decode(b"Caf\xe9 und \x80", declared="utf-8") == "Café und €"


def test_large_files_are_decoded_in_linear_time() -> None:
    started = time.monotonic()
    for content in (
        b"word " * 3_000_000 + b"caf\xe9",
        b"x" * 15_000_000 + b"\xe9t\xe9",
        RUSSIAN.encode("cp1251") * 100_000,
        b"\xe9" * 5_000_000,
        "é".encode() * 1_000_000 + b"\xe9 " * 1_000_000,
    ):
        decode(content)
    assert time.monotonic() - started < 20
