"""Mails that Outlook saved are read like others: fields, text in three formats, and what is attached."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from compressed_rtf import compress
from example_documents import pdf_file
from outlook_files import EightBit, compound_file, mail_storage, msg_file

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document
from echo_index.indexer.documents.readers.rtf.compressed import decompress_rtf
from echo_index.indexer.documents.readers.rtf.encapsulated import encapsulated_text

SUBJECT, HEADER, SENT, BODY, RTF, HTML = 0x0037, 0x007D, 0x0039, 0x1000, 0x1009, 0x1013
DATA, NAME, KIND, METHOD = 0x3701, 0x3707, 0x370E, 0x3705
MESSAGE_CODE_PAGE, INTERNET_CODE_PAGE = 0x3FFD, 0x3FDE
PAGE = "<h2>Oil</h2><p>" + "Colza burns. " * 30


def read(content: bytes, name: str = "a.msg") -> Document:
    return parse_document(content, Path(name))


def mail(properties: dict[int, Any], **parts: Any) -> Document:
    return read(msg_file({SUBJECT: "Lamp", **properties}, **parts))


def body(properties: dict[int, Any]) -> str:
    return mail(properties).text.removeprefix("Lamp\n\n")


def file(name: str, content: bytes | dict[str, Any], kind: str = "", **more: int) -> dict[int, Any]:
    return {
        NAME: name,
        DATA: content,
        METHOD: 1,
        KIND: kind,
        **{int(key[1:], 16): value for key, value in more.items()},
    }


def places(document: Document) -> list[str]:
    return [place.name for place in document.places]


def test_the_fields_are_shown_as_those_of_other_mails() -> None:
    person = {0x0042: "Jörg", 0x0065: "/O=ACME/CN=JOERG", 0x5D02: "j@example.org"}
    recipients = [
        {0x0C15: 1, 0x3001: "Ann", 0x3003: "ann@example.org"},
        {0x0C15: 1, 0x3001: "'bob@example.org'", 0x39FE: "bob@example.org"},
        {0x0C15: 2, 0x3001: "Carl", 0x3003: "/O=ACME/CN=CARL"},
        {0x0C15: 3, 0x3001: "Blind"},
    ]
    sent = datetime(2024, 6, 12, 8, 1, 2, tzinfo=timezone.utc)
    document = read(msg_file({SUBJECT: "öü\tund", SENT: sent, BODY: "Hello.\r\n", **person}, recipients=recipients))
    assert document.text == (
        "öü und\n\nFrom: Jörg <j@example.org>\nTo: Ann <ann@example.org>, bob@example.org\nCc: Carl\n"
        "Date: Wed, 12 Jun 2024 08:01:02 +0000\n\nHello."
    )
    assert (document.title, document.format, document.places, document.omissions) == ("öü und", "mail", (), ())
    assert [(each.level, each.title, each.offset) for each in document.headings] == [(1, "öü und", 0)]


def test_fields_that_were_sent_come_before_those_that_outlook_keeps() -> None:
    header = (
        "Microsoft Mail Internet Headers Version 2.0\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\r\n"
        "Date: Wed, 12 Jun 2024 10:01:02 +0200\r\n\r\n"
    )
    assert body({HEADER: header, 0x0C1A: "Other", 0x0E04: "Ann; Bob", BODY: "Hello."}) == (
        "From: Jörg <j@example.org>\nTo: Ann; Bob\nDate: Wed, 12 Jun 2024 10:01:02 +0200\n\nHello."
    )


@pytest.mark.parametrize(
    ("code_pages", "content"),
    [
        ({MESSAGE_CODE_PAGE: 932}, "日本".encode("cp932")),
        ({INTERNET_CODE_PAGE: 20866}, "Свет".encode("koi8-r")),
        ({MESSAGE_CODE_PAGE: 1251, INTERNET_CODE_PAGE: 65001}, "Свет".encode("cp1251")),
        ({MESSAGE_CODE_PAGE: 950}, "格式".encode("cp950")),
        ({MESSAGE_CODE_PAGE: 99}, "Größe über Öl".encode("cp1252")),
    ],
)
def test_texts_are_decoded_in_their_code_page(code_pages: dict[int, int], content: bytes) -> None:
    seen = {932: "日本", 20866: "Свет", 1251: "Свет", 950: "格式", 99: "Größe über Öl"}[next(iter(code_pages.values()))]
    document = read(
        msg_file(
            {SUBJECT: EightBit(content), BODY: EightBit(content), **code_pages},
            attachments=[{NAME: EightBit(content + b".txt"), DATA: b"x"}],
        )
    )
    assert (document.title, document.text) == (seen, f"{seen}\n\n{seen}\n\n{seen}.txt\n\nx")


def test_of_plain_text_and_a_page_the_plain_text_is_read_unless_the_page_says_much_more() -> None:
    assert body({BODY: "Plain.", HTML: b"<p>Page."}) == "Plain."
    assert body({BODY: "No HTML?", HTML: PAGE.encode()}).startswith("Oil\n\nColza")
    assert body({BODY: " ", HTML: "<p>Größe".encode("cp1252"), INTERNET_CODE_PAGE: 1252}) == "Größe"
    assert body({HTML: "<p>Größe"}) == "Größe"


def test_the_page_within_rtf_is_read() -> None:
    rtf = (
        rb"{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Times;}}"
        rb"{\*\generator x}{\colortbl;}\uc1\pard\plain{\*\htmltag64 <h2>}\htmlrtf {\b\htmlrtf0 Gr\'f6\'dfe"
        rb"{\*\htmltag72 </h2>}\htmlrtf }\par\htmlrtf0 {\*\htmltag241 <p title='\{\'e9\}'>}{\f1 \'cf\u1088?}"
        rb"{\*\htmltag84 &lt;}\htmlrtf <\htmlrtf0{\*\mhtmltag no}{\pict 00}"
        rb"\line \tab{\*\htmltag <b>}b{\*\htmltag </b>}}"
    )
    inside = encapsulated_text(rtf)
    assert inside is not None
    assert inside.text == "<h2>Größe</h2><p title='{é}'>Пр&lt;\n\t<b>b</b>"
    document = mail({RTF: compress(rtf)})
    assert document.text == "Lamp\n\nGröße\n\nПр< b"
    assert [(each.level, each.title) for each in document.headings] == [(1, "Lamp"), (3, "Größe")]


def test_rtf_of_its_own_and_plain_text_in_rtf_are_read() -> None:
    table = rb"\trowd\cellx1\cellx2\intbl a\cell b\cell\row\trowd\cellx1\cellx2\intbl c\cell d\cell\row"
    document = mail({RTF: compress(rb"{\rtf1\ansi Text\par" + table + rb"}")})
    assert document.text == "Lamp\n\nText\n\na | b\nc | d"
    assert [document.text[table.start : table.end] for table in document.tables] == ["c | d"]
    assert body({RTF: compress(rb"{\rtf1\ansi\fromtext \deff0{\fonttbl{\f0 A;}}\pard One\par two\par}")}) == "One\ntwo"
    assert mail({RTF: b"\x20\0\0\0\x20\0\0\0none\0\0\0\0...."}).omissions == ("a text that cannot be decoded",)


def test_rtf_is_decompressed_as_far_as_it_is_whole() -> None:
    rtf = rb"{\rtf1\ansi " + b"".join(b"line %d\\par\r\n" % number for number in range(400)) + b"}"
    whole = compress(rtf)
    assert decompress_rtf(whole) == decompress_rtf(compress(rtf, compressed=False)) == rtf
    cut = decompress_rtf(whole[: len(whole) // 2])
    assert rtf.startswith(cut) and len(cut) > len(rtf) // 3
    assert decompress_rtf(b"\xff\xff\xff\xff\0\0\0\0LZFu\0\0\0\0" + b"\xff" * 60)
    for broken in (b"", b"short", whole[:8] + b"none" + whole[12:]):
        with pytest.raises(DocumentError, match="RTF is"):
            decompress_rtf(broken)


def test_attachments_are_read_by_their_readers() -> None:
    attachments = [
        file("größe.pdf", pdf_file(["One", "Two"]), "application/pdf"),
        file("", b"# Oil\n", "text/markdown"),
        file("photo.jpg", b"\xff\xd8", "image/jpeg"),
        file("logo.png", b"\x89PNG", x3714=4),
        {**file("cid.png", b"\x89PNG"), 0x3712: "a@b"},
        file("hidden.txt", b"No.", x7FFE=1),
        {NAME: "link.txt", METHOD: 2},
        file("object.xls", {"Workbook": b"x"}),
        file("smime.p7s", b"x", "application/pkcs7-signature"),
        {0x3704: "C:\\OLD~1.TXT", DATA: b"Old."},
    ]
    document = mail({HTML: b"<p>Text<img src='cid:a@b'>"}, attachments=attachments)
    assert places(document) == [
        *("", "attachment größe.pdf", "attachment größe.pdf, page 1", "attachment größe.pdf, page 2"),
        *("attachment text/markdown", "attachment OLD~1.TXT"),
    ]
    assert [(each.level, each.title) for each in document.headings] == [
        *((1, "Lamp"), (2, "größe.pdf"), (2, "text/markdown"), (3, "Oil"), (2, "OLD~1.TXT")),
    ]
    assert document.omissions == (
        "attachment photo.jpg",
        "attachment link.txt (it is not in the mail)",
        "attachment object.xls (it is not in the mail)",
    )


def test_mails_within_mails_are_read_in_both_formats() -> None:
    innermost = b"Subject: Innermost\n\nDeep.\n"
    inner = mail_storage({SUBJECT: "Inner", BODY: "Within."}, attachments=[file("c.eml", innermost)])
    outer = msg_file({SUBJECT: "Outer", BODY: "Around."}, attachments=[{**file("Inner", inner), METHOD: 5}])
    document = mail({}, attachments=[file("b.msg", outer)])
    assert places(document)[1:] == [
        "attachment b.msg",
        "attachment b.msg, attachment Inner",
        "attachment b.msg, attachment Inner, attachment c.eml",
    ]
    assert [(each.level, each.title) for each in document.headings] == [
        *((1, "Lamp"), (2, "Outer"), (3, "Inner"), (4, "Innermost")),
    ]
    sent = b"Subject: Sent\nContent-Type: application/vnd.ms-outlook; name=b.msg\n\n" + outer
    assert "Around." in read(sent, "a.eml").text


def test_mails_within_mails_are_read_to_a_limit() -> None:
    tree = mail_storage({SUBJECT: "Level 8"})
    for level in range(7, 1, -1):
        tree = mail_storage({SUBJECT: f"Level {level}"}, attachments=[{DATA: tree}])
    document = read(msg_file({SUBJECT: "Level 1"}, attachments=[{DATA: tree}]))
    assert [each.title for each in document.headings] == [f"Level {level}" for level in range(1, 6)]
    assert document.omissions[0].startswith("attachment Level 6 of attachment Level 2, ")


def test_signed_mails_are_read_and_encrypted_ones_named() -> None:
    signed = (
        b"Content-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain\n\nSigned.\n"
        b"--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\nMII\n--b--"
    )
    assert mail({}, attachments=[file("smime.p7m", signed, "multipart/signed")]).text == "Lamp\n\nSigned."
    encrypted = mail({}, attachments=[file("smime.p7m", b"MII", "application/pkcs7-mime")])
    assert encrypted.omissions == ("encrypted text",)


def test_what_outlook_did_not_write_is_plain_text() -> None:
    document = read(b"float64 latitude\n")
    assert (document.text, document.format) == ("float64 latitude\n", "text")


def test_broken_files_are_errors() -> None:
    whole = msg_file({SUBJECT: "Lamp", BODY: "Text. " * 2000})
    for broken in (whole[:600], whole[:1000], whole[:1600]):
        with pytest.raises(DocumentError, match=r"^It is not a readable MSG"):
            read(broken)
    with pytest.raises(DocumentError, match=r"^It is empty\.$"):
        read(compound_file({"WordDocument": b"x" * 5000}))


def test_streams_that_share_their_sectors_are_not_read_without_end() -> None:
    attachments = [file(f"{number}.txt", b"x" * 60_000) for number in range(50)]
    content = bytearray(msg_file({SUBJECT: "Lamp"}, attachments=attachments))
    name = "__substg1.0_37010102".encode("utf-16-le")
    first = content.index(name) + 116
    at = first
    while (at := content.find(name, at)) >= 0:
        content[at + 116 : at + 120] = content[first : first + 4]
        content[at + 120 : at + 124] = (2_000_000).to_bytes(4, "little")
        at += 128
    document = read(bytes(content))
    assert "attachment 49.txt (it is not a readable MSG: its parts are larger than the file)" in document.omissions
