"""Mails are read as a person sees them, with what is attached; mailboxes mail by mail."""

from __future__ import annotations

import base64
from email.message import EmailMessage
from pathlib import Path

import pytest
from example_documents import pdf_file

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document
from echo_index.indexer.documents.formats import parse_document

HEAD = b"From: Ann <ann@example.org>\nSubject: Lamp\n"


def read(content: bytes, suffix: str = ".eml") -> Document:
    return parse_document(content, Path(f"a{suffix}"))


def body(content: bytes) -> str:
    """Return the text of a mail below its header."""
    return read(HEAD + content).text.partition("\n\n")[2].partition("\n\n")[2]


def mail(text: str = "Hello.\n", subject: str = "Lamp") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Ann <ann@example.org>"
    message["Subject"] = subject
    message.set_content(text)
    return message


def names(document: Document) -> list[str]:
    return [place.name for place in document.places]


def test_the_header_that_a_person_sees_is_read_and_the_subject_is_a_heading() -> None:
    document = read(
        b"Received: by x\r\nFrom: =?utf-8?Q?J=C3=B6rg?= <j@example.org>\r\nTo: a@example.org,\r\n b@example.org\r\n"
        b"Cc: c@example.org\r\nDate: Wed, 12 Jun 2024 10:01:02 +0200\r\n"
        b"Subject: =?utf-8?B?w7Y=?= =?utf-8?B?w7w=?= and =?iso-8859-1?q?Gr=F6=DFe?=\r\nX-Spam: no\r\n\r\nHello.\r\n"
    )
    assert document.text == (
        "öü and Größe\n\nFrom: Jörg <j@example.org>\nTo: a@example.org, b@example.org\nCc: c@example.org\n"
        "Date: Wed, 12 Jun 2024 10:01:02 +0200\n\nHello."
    )
    assert document.title == "öü and Größe"
    assert [(each.level, each.title, each.offset) for each in document.headings] == [(1, "öü and Größe", 0)]
    assert (document.format, document.places, document.omissions) == ("mail", (), ())


@pytest.mark.parametrize(
    "subject", ["Größe".encode(), "Größe".encode("cp1252"), b"=?utf-8?b?R3LDtg==?= =?utf-8?b?w59l?="]
)
def test_subjects_are_decoded_in_any_way_they_are_written(subject: bytes) -> None:
    assert read(b"From: a\nSubject: " + subject + b"\n\nHello.\n").title == "Größe"


def test_a_letter_may_be_divided_between_encoded_words() -> None:
    first, second = (base64.b64encode(half).decode() for half in ("aö".encode()[:2], "aö".encode()[2:]))
    assert read(f"Subject: =?utf-8?b?{first}?= =?utf-8?b?{second}?=\n\nHello.\n".encode()).title == "aö"


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: text/plain; charset=iso-8859-1\n\nGr\xf6\xdfe \xfcber",
        b"Content-Type: text/plain; charset=utf-8\n\nGr\xf6\xdfe \xfcber",
        b"Content-Type: text/plain; charset=none\n\nGr\xc3\xb6\xc3\x9fe \xc3\xbcber",
        b"Content-Transfer-Encoding: quoted-printable\n\nGr=C3=B6=\n=C3=9Fe =C3=BCber",
        b"Content-Transfer-Encoding: BASE64\n\nR3LDts\nOfZSDDv\nGJlcg\n",
        b"Content-Type: text/html; charset=iso-8859-1\n\n<style>p {}</style><p>Gr\xf6&szlig;e <b>\xfcber</b>",
    ],
)  # fmt: skip
def test_the_text_is_decoded(content: bytes) -> None:
    assert body(content) == "Größe über"


def test_flowed_lines_are_joined_but_not_across_quotations_and_signatures() -> None:
    flowed = b"Content-Type: text/plain; format=flowed\n\n"
    text = b"The lamp \nburns.\n> It \n> burns \n>> oil. \n From here\n-- \nAnn\n"
    assert body(flowed + text) == "The lamp burns.\n> It burns\n>> oil.\nFrom here\n--\nAnn"
    assert body(b"Content-Type: text/plain; format=flowed; delsp=yes\n\nwo \nrd\n") == "word"


def test_of_alternatives_the_plain_text_is_read() -> None:
    message = mail("Plain.\n")
    message.add_alternative("<p>Page.", subtype="html")
    assert "Plain." in read(message.as_bytes()).text
    assert "Page." not in read(message.as_bytes()).text


def test_the_page_is_read_if_the_plain_text_says_nothing() -> None:
    message = mail("No HTML?\n")
    message.add_alternative(f"<h2>News</h2><p>{'The lamp burns. ' * 9}", subtype="html")
    document = read(message.as_bytes())
    assert "No HTML?" not in document.text
    assert [(each.level, each.title) for each in document.headings] == [(1, "Lamp"), (3, "News")]


def test_attachments_are_read_by_their_readers() -> None:
    message = mail()
    message.add_attachment(pdf_file(["One", "Two"]), maintype="application", subtype="pdf", filename="größe.pdf")
    message.add_attachment(b"# Oil\n\nColza.\n", maintype="application", subtype="octet-stream", filename="a.md")
    message.add_attachment("a|b", filename="noname")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="photo.jpg")
    message.add_attachment(b"no", maintype="application", subtype="pdf", filename="broken.pdf")
    document = read(message.as_bytes())
    assert names(document) == [
        *("", "attachment größe.pdf", "attachment größe.pdf, page 1", "attachment größe.pdf, page 2"),
        *("attachment a.md", "attachment noname"),
    ]
    assert [(each.level, each.title) for each in document.headings] == [
        *((1, "Lamp"), (2, "größe.pdf"), (2, "a.md"), (3, "Oil"), (2, "noname")),
    ]
    for place in document.places[2:4]:
        assert document.text[place.offset :].startswith("One" if place.name.endswith("1") else "Two")
    photo, broken = document.omissions
    assert photo == "attachment photo.jpg"
    assert broken.startswith("attachment broken.pdf (it is not a readable PDF")


def test_mails_within_mails_are_read_to_a_limit() -> None:
    message = mail("Innermost.\n", subject="Level 8")
    for level in range(7, 0, -1):
        outer = mail(f"Text {level}.\n", subject=f"Level {level}")
        outer.add_attachment(message)
        message = outer
    document = read(message.as_bytes())
    assert [each.title for each in document.headings] == [f"Level {level}" for level in range(1, 6)]
    assert names(document)[1] == "attachment Level 2"
    assert document.omissions == (
        "attachment Level 6 of " + ", ".join(f"attachment Level {level}" for level in range(2, 6)),
    )


def test_signatures_are_left_out_and_encrypted_parts_named() -> None:
    signed = (
        b"Content-Type: multipart/signed; boundary=b\n\n--b\n\nSigned.\n--b\nContent-Type: application/%s\n\nMII\n--b--"
    )
    for kind in (b"pgp-signature", b"pkcs7-signature; name=smime.p7s"):
        assert body(signed % kind) == "Signed."
    armour = b"-----BEGIN PGP %s-----\nHash: SHA256\n\nabc\n-----END PGP %s-----\n"
    clear = b"\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nClear.\n" + armour.replace(b"%s", b"SIGNATURE")
    assert body(clear) == "Clear."
    for content in (
        b"\nHello.\n" + armour.replace(b"%s", b"MESSAGE"),
        b"Content-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nMII\n--b--",
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\n\nMII",
    ):
        document = read(HEAD + content)
        assert document.omissions == ("encrypted text",)
        assert "abc" not in document.text and "MII" not in document.text


def test_pictures_in_a_page_are_not_named() -> None:
    related = (
        b"Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>Page.<img src=cid:1>\n"
        b"--b\nContent-Type: image/png; name=logo.png\nContent-ID: <1>\n\nx\n--b--"
    )
    assert read(HEAD + related).omissions == ()


MAILBOX = b"""From ann@example.org Wed Jun 12 10:01:02 2024
From: Ann
Subject: Lamp

Hello,

the lamp burns colza oil, which
is bought in March.

>From here on it is quiet.
>>From there too.
From one
From us: at 10:00
it is: so

From - Wed Jun 12 11:01:02 2024
From: Bob
Subject: Re: Lamp

On Wed, Ann wrote:
> Hello,
>
> the lamp burns colza oil, which is bought in March.

It burns paraffin.

> the lamp burns colza oil, which
> is bought in May.

In May?

From carl@example.org Wed Jun 12 12:01:02 2024
From: Carl

So it is.

-----Original Message-----
From: Bob

It burns paraffin.
"""


def test_a_mailbox_is_read_mail_by_mail() -> None:
    document = read(MAILBOX, ".mbox")
    assert names(document) == ["message 1", "message 2", "message 3"]
    assert [(each.level, each.title) for each in document.headings] == [
        (1, "Lamp"),
        (1, "Re: Lamp"),
        (1, "(no subject)"),
    ]
    assert [each.offset for each in document.headings] == [each.offset for each in document.places]
    assert "\nFrom here on it is quiet.\n>From there too.\nFrom one\nFrom us: at 10:00\nit is: so\n" in document.text


def test_what_a_mailbox_quotes_of_itself_is_read_once() -> None:
    text = read(MAILBOX, ".mbox").text
    assert text.count("Hello,") == text.count("bought in March") == text.count("It burns paraffin.") == 1
    assert "On Wed, Ann wrote:\n\nIt burns paraffin.\n\n> the lamp burns colza oil, which\n> is bought in May." in text
    assert text.endswith("So it is.\n\n-----Original Message-----\nFrom: Bob")


def test_a_single_mail_keeps_what_it_quotes() -> None:
    quoting = b"\nHello,\n\nyes.\n\n> Hello,\n"
    assert body(quoting) == "Hello,\n\nyes.\n\n> Hello,"


def test_the_places_of_a_mailbox_lead_to_the_pages_of_attachments() -> None:
    message = mail()
    message.add_attachment(pdf_file(["One", "Two"]), maintype="application", subtype="pdf", filename="a.pdf")
    message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="photo.jpg")
    document = read(MAILBOX + b"\nFrom x@y Wed Jun 12 10:01:02 2024\n" + message.as_bytes(), ".mbox")
    assert names(document)[-1] == "message 4, attachment a.pdf, page 2"
    assert document.omissions == ("attachment photo.jpg of message 4",)


@pytest.mark.parametrize("content", [b"no header here\n\nText.\n", b"\x00\x01", b"<html>\n", b"\n\n"])
def test_what_is_no_mail_is_an_error(content: bytes) -> None:
    for suffix in (".eml", ".mbox"):
        with pytest.raises(DocumentError, match=r"^It is not a mail: it does not begin with the header of one\.$"):
            read(content, suffix)


def test_hostile_mails_are_read_in_time() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(1000))
    assert read(HEAD + deep + b"\nText.\n").omissions == ("parts more than 30 levels deep",)
    for head in (
        b"Subject: " + b"=?utf-8?q?" * 200_000,
        b"Subject: " + b"=?" * 500_000,
        b"To: " + b"(" * 1_000_000,
        b"Content-Type: text/plain" + b';a="' * 300_000,
        b"Content-Type: multipart/mixed; boundary=" + b"b" * 1_000_000,
        b"X: y\n" * 300_000,
        b"Content-Disposition: attachment; filename*9999999999999999999999*=x; filename*=none'x'%ff",
    ):
        assert "Text." in read(HEAD + head + b"\n\nText.\n").text
    assert read(HEAD + b"Content-Transfer-Encoding: base64\n\n!!!\x00===A" + b"=" * 100_000).title == "Lamp"
    parts = b"--b\n\n" * 300_000
    assert "Lamp" in read(HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + parts).text
