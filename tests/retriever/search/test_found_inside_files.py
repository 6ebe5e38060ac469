"""What stands in an attachment, a cell of a notebook or a subtitle is found, and the hit names that place."""

from __future__ import annotations

import json
from email.message import EmailMessage
from pathlib import Path

import pytest
from example_documents import pdf_file
from indexer_helpers import WordEncoder, build

from echo_index.app.services.formatting import location_text
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Retriever

PAGES = ["The lighthouse was built in 1811.", "In fog a siren of brass is sounded."]


def mail() -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "Ann <ann@example.org>", "The report"
    message.set_content("Here is the report.\n")
    message.add_attachment(pdf_file(PAGES), maintype="application", subtype="pdf", filename="report.pdf")
    return message.as_bytes()


def notebook() -> bytes:
    cells = [{"cell_type": "markdown", "source": f"# {page}"} for page in PAGES]
    code = {"cell_type": "code", "source": "sound()", "outputs": [{"output_type": "stream", "text": "horns honked\n"}]}
    return json.dumps({"cells": [*cells, code], "nbformat": 4}).encode()


def subtitles() -> bytes:
    return "".join(
        f"{number}\n00:0{number}:20,000 --> 00:0{number}:25,000\n{page}\n\n"
        for number, page in enumerate(PAGES, start=1)
    ).encode()


FROM = b"From ann@example.org Wed Jun 12 10:01:02 2024\n"
FILES = {
    "mail.eml": mail(),
    "box.mbox": FROM + b"From: Bob\nSubject: First\n\nNothing.\n\n" + FROM + mail(),
    "book.ipynb": notebook(),
    "film.srt": subtitles(),
    "film.vtt": b"WEBVTT\n\n" + subtitles().replace(b",", b"."),
}


def search(tmp_path: Path, name: str, question: str) -> Hit:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / name).write_bytes(FILES[name])
    report = build(folder, tmp_path / "index")
    assert report.failures == []
    retriever = Retriever.open(tmp_path / "index", encoder=WordEncoder())  # type: ignore[arg-type]
    return retriever.search(question, mode="lexical")[0]


@pytest.mark.parametrize(
    ("name", "question", "place"),
    [
        ("mail.eml", "siren of brass", "attachment report.pdf, page 2"),
        ("mail.eml", "lighthouse built", "attachment report.pdf, page 1"),
        ("box.mbox", "siren of brass", "message 2, attachment report.pdf, page 2"),
        ("box.mbox", "nothing", "message 1"),
        ("book.ipynb", "siren of brass", "cell 2"),
        ("book.ipynb", "horns honked", "cell 3"),
        ("film.srt", "siren of brass", "00:02:20"),
        ("film.vtt", "lighthouse built", "00:01:20"),
    ],
)
def test_a_sentence_is_found_at_its_place(tmp_path: Path, name: str, question: str, place: str) -> None:
    hit = search(tmp_path, name, question)
    assert hit.location.place == place
    assert location_text(hit.location).endswith(f"{name}, {place}")


def test_the_text_of_a_mail_has_no_place_and_its_subject_is_its_title(tmp_path: Path) -> None:
    hit = search(tmp_path, "mail.eml", "here is the report")
    assert (hit.location.place, hit.title) == ("", "The report")
    assert location_text(hit.location).endswith("mail.eml")
