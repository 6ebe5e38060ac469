"""Text that was recognized in pictures: its confidence and its uncertain words, up to the chunks of the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from echo_index.indexer.building.document_rows import chunk_rows, document_row
from echo_index.indexer.catalog.catalog import Catalog
from echo_index.indexer.catalog.generation_summary import text_recognitions
from echo_index.indexer.documents.chunking import Chunking
from echo_index.indexer.documents.document import Document, Recognition, RecognizedText
from echo_index.indexer.documents.recognition import recognition_phrase
from tests.indexer_helpers import token_starts

TYPED = "This page was typed.\n\n"
SCANNED = "This poge was scanned. Its numbcr is 7.\n\n"
TEXT = TYPED + SCANNED + "The last page."
DOCUMENT = Document(
    TEXT,
    title="Two kinds of pages",
    format="pdf",
    pages=(0, len(TYPED), len(TYPED + SCANNED)),
    recognized=(
        RecognizedText(
            len(TYPED),
            len(TYPED + SCANNED),
            Recognition(
                0.5, ((TEXT.index("poge"), TEXT.index("poge") + 4), (TEXT.index("numbcr"), TEXT.index(" is 7")))
            ),
        ),
        RecognizedText(len(TYPED + SCANNED), len(TEXT), Recognition(1.0)),
    ),
)


def test_a_span_has_the_mean_confidence_of_its_recognized_characters_and_its_uncertain_words() -> None:
    assert DOCUMENT.recognition(0, len(TYPED)) is None
    start = TEXT.index("poge") + 2
    assert DOCUMENT.recognition(start, start + 10) == Recognition(0.5, ((0, 2),)), "half of a word"
    end = len(TYPED + SCANNED)
    assert DOCUMENT.recognition(end - 4, end + 4) == Recognition(0.75)
    assert DOCUMENT.recognition(end, len(TEXT)) == Recognition(1.0)


def test_chunks_keep_it_in_the_catalog(tmp_path: Path) -> None:
    chunks = [*chunk_rows(DOCUMENT, token_starts, Chunking(max_tokens=5, overlap_tokens=0), context="")]
    assert [chunk.text for chunk in chunks] == [
        *("This page was typed.", "This poge was scanned.", "Its numbcr is 7.", "The last page."),
    ]
    confidences = [chunk.recognition and chunk.recognition.confidence for chunk in chunks]
    assert confidences == [None, 0.5, 0.5, 1.0]
    assert chunks[2].recognition == Recognition(0.5, ((4, 10),))

    catalog = Catalog(tmp_path / "catalog.sqlite", create=True)
    row = document_row(DOCUMENT, "scan.pdf", "0", size=1, modified_ns=1)
    catalog.put_document(row, chunks, generation=1)
    assert [found.chunk for found in catalog.without_vector(after=0, limit=9)] == chunks
    assert catalog.current_documents() == {"scan.pdf": row}
    assert text_recognitions(catalog, generation=1) == [("scan.pdf", "pages 2 to 3 read by OCR, confidence 62 %")]
    catalog.close()


@pytest.mark.parametrize(
    ("document", "phrase"),
    [
        (DOCUMENT, "pages 2 to 3 read by OCR, confidence 62 %"),
        (
            Document("7", "", "image", recognized=(RecognizedText(0, 1, Recognition(0.999)),)),
            "read by OCR, confidence 99 %",
        ),
        (Document("7", "", "pdf", pages=(0,)), ""),
    ],
)
def test_a_phrase_names_pages_and_confidence(document: Document, phrase: str) -> None:
    assert recognition_phrase(document) == phrase
