"""Read electronic books (EPUB): the chapters in their order, with their titles in the table of contents."""

from __future__ import annotations

from dataclasses import replace

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, Place
from echo_index.indexer.documents.readers.archive import normal_name
from echo_index.indexer.documents.readers.blocks import Block, document_block, join_blocks, paragraph_block
from echo_index.indexer.documents.readers.epub.contents import chapter_titles
from echo_index.indexer.documents.readers.epub.package import open_book
from echo_index.indexer.documents.readers.failures import reported_as_unreadable
from echo_index.indexer.documents.readers.html.reader import read_chapter

_FORMAT = "epub"


def read_epub(content: bytes) -> Document:
    """Return the pages of a book in their order; pages beside the text, such as notes, are the last.

    A place is the title of a chapter in the table of contents, in quotation marks; in a book without one it is
    "part 3". A page without a heading of its own has the title from the table of contents as one.

    Raises:
        DocumentError: the file is broken or encrypted.
        MemoryError: the XML parser ran out of memory.
    """
    with reported_as_unreadable("EPUB"):
        return _parse(content)


def _parse(content: bytes) -> Document:
    book = open_book(content)
    titles = chapter_titles(book.archive, book.contents)
    blocks: list[Block] = []
    place = "before the first chapter"
    missing = 0
    for number, page in enumerate(book.pages, 1):
        try:
            found = book.archive.bytes(page)
            chapter = read_chapter(found) if found is not None else None
        except DocumentError:
            chapter = None
        if chapter is None:
            missing += 1
            continue
        of_page = titles.get(normal_name(page), [])
        if not titles:
            place = f"part {number}"
        elif of_page:
            place = _quoted(of_page[0])
        if of_page and chapter.text and not chapter.headings:
            heading = paragraph_block(of_page[0], level=1)
            chapter = join_blocks([heading, document_block(chapter)], format=_FORMAT)
        if chapter.text.strip():
            blocks.append(document_block(replace(chapter, places=_places(chapter, of_page, place))))
    if missing:
        book.archive.omit(f"{missing} page{'s' if missing > 1 else ''} that cannot be read")
    return replace(
        join_blocks(blocks, format=_FORMAT), title=book.title, omissions=book.archive.omissions, fields=book.fields
    )


def _places(chapter: Document, titles: list[str], place: str) -> tuple[Place, ...]:
    """Return the places of a page: the chapter it begins with or goes on with, and those that begin at its headings."""
    places = [Place(0, place)]
    waiting = [*reversed(titles)]
    for heading in chapter.headings:
        # The first title often has no heading: it leads to the top of the page.
        begun = next((at for at in (1, 2) if at <= len(waiting) and _is_same(waiting[-at], heading.title)), 0)
        if begun:
            name = _quoted(waiting[-begun])
            del waiting[-begun:]
            if name != places[-1].name:
                places.append(Place(heading.offset, name))
    return tuple(places)


def _is_same(title: str, heading: str) -> bool:
    return title.casefold() == heading.casefold()


def _quoted(title: str) -> str:
    return f"“{title}”"
