"""Make text of recognized pages: words divided by line ends are joined, and those that may be wrong are marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain, pairwise

from echo_index.indexer.documents.document import Recognition, RecognizedText
from echo_index.indexer.documents.enumeration import page_numbers
from echo_index.indexer.documents.ocr.lines import Word
from echo_index.indexer.documents.ocr.reading_order import Paragraph, Row
from echo_index.indexer.documents.ocr.recognizer import MAX_PAGES, PAGE_SECONDS, RecognizedPage
from echo_index.indexer.documents.readers.hyphens import joined, known_words

CERTAIN = 0.9
"""The least confidence in a word that is not marked as uncertain."""

_BETWEEN_PARAGRAPHS = "\n\n"
_DIVIDED = re.compile(r"(?P<before>[\w-]*[^\W\d_])[-‐¬\u00ad]")
_AFTER = re.compile(r"[^\W\d_][\w-]*")
_KNOWN = 0.8  # of the words of a row stand in the text of the page


def with_recognized(
    texts: Sequence[str], scans: Mapping[int, RecognizedPage], *, separator: str
) -> tuple[list[str], list[RecognizedText]]:
    """Return the texts of pages with what is recognized on them below, and where it is in the text of all.

    Args:
        texts: What the pages say by themselves.
        scans: What is recognized, by the index of its page.
        separator: What will stand between two pages.
    """
    kept = {index: _without_rows_in(texts[index], page.paragraphs) for index, page in scans.items()}
    known = known_words([*texts, *(_row_text(row) for page in kept.values() for row in chain.from_iterable(page))])
    pages: list[str] = []
    recognized: list[RecognizedText] = []
    offset = 0
    for index, text in enumerate(texts):
        if paragraphs := kept.get(index):
            text = f"{text}{_BETWEEN_PARAGRAPHS}" if text else ""
            more, recognition = _recognized_text(paragraphs, known, offset=offset + len(text))
            recognized.append(RecognizedText(offset + len(text), offset + len(text) + len(more), recognition))
            text += more
        pages.append(text)
        offset += len(text) + len(separator)
    return pages, recognized


def _recognized_text(paragraphs: Sequence[Paragraph], known: Set[str], *, offset: int) -> tuple[str, Recognition]:
    """Return the text of paragraphs and how well it was recognized, if it begins at an offset."""
    pieces: list[str] = []
    uncertain: list[tuple[int, int]] = []
    length, letters, confidence = 0, 0, 0.0
    for paragraph in paragraphs:
        for number, (separator, word) in enumerate(_words(paragraph, known)):
            before = separator if number else _BETWEEN_PARAGRAPHS if pieces else ""
            start, length = length + len(before), length + len(before) + len(word.text)
            pieces += before, word.text
            letters, confidence = letters + len(word.text), confidence + len(word.text) * word.confidence
            if word.confidence < CERTAIN:
                uncertain.append((offset + start, offset + length))
    return "".join(pieces), Recognition(confidence / letters if letters else 0.0, tuple(uncertain))


def failure_omissions(failures: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Yield phrases for the pages that were not recognized, each given by its number and the reason."""
    by_reason: dict[str, list[int]] = {}
    for number, reason in failures:
        by_reason.setdefault(reason, []).append(number)
    if numbers := by_reason.get("given up"):
        yield f"{page_numbers(numbers)}, which OCR gave up after {PAGE_SECONDS} seconds or an error"
    if numbers := by_reason.get("beyond the limit"):
        yield f"{page_numbers(numbers)}, as OCR reads at most {MAX_PAGES:,} pages of a file"


def _without_rows_in(text: str, paragraphs: Sequence[Paragraph]) -> tuple[Paragraph, ...]:
    """Return the paragraphs without the rows that are already in the text of the page, such as its header."""
    known = {*_plain_words(text)}
    kept = (tuple(row for row in paragraph if not _is_known(row, known)) for paragraph in paragraphs)
    return tuple(paragraph for paragraph in kept if paragraph)


def _words(paragraph: Paragraph, known: Set[str]) -> Iterator[tuple[str, Word]]:
    """Yield the words of a paragraph, each with the white space before it."""
    separator, divided = "\n", None
    for row, following in pairwise([*paragraph, ()]):
        separator = separator if divided else "\n"
        for position, word in enumerate(row, start=1):
            whole = _join(divided, word, known) if divided else word
            divided = None
            if position == len(row) and following and _are_divided(whole, following[0]):
                divided = whole
                continue
            yield separator, whole
            separator = " "


def _are_divided(word: Word, next_word: Word) -> bool:
    return bool(_DIVIDED.fullmatch(word.text) and _AFTER.match(next_word.text))


def _join(word: Word, next_word: Word, known: Set[str]) -> Word:
    """Return the two parts of a word as one, which is as sure as the less sure part."""
    before, after = _DIVIDED.fullmatch(word.text), _AFTER.match(next_word.text)
    if before is None or after is None:
        return next_word
    text = joined(before["before"], after[0], known) + next_word.text[after.end() :]
    return Word(text, min(word.confidence, next_word.confidence))


def _is_known(row: Row, known: Set[str]) -> bool:
    words = _plain_words(_row_text(row))
    return bool(words) and sum(word in known for word in words) >= _KNOWN * len(words)


def _row_text(row: Row) -> str:
    return " ".join(word.text for word in row)


def _plain_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
