"""Documents in, an index on disk out: scan, read, cut, embed, store. Knows nothing of questions or answers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.build import build_index
    from indexer.chunks import Chunk, Chunking, cut_chunks, embedded_text, title_path
    from indexer.documents import Document, Heading
    from indexer.formats import FORMATS, read_document
    from indexer.given import index_documents
    from indexer.inspection import Check
    from indexer.languages import function_words, is_function_word, language_of, question_language
    from indexer.listing import IndexedDocument, ListedDocument, Passage, find_passage, indexed_document, list_documents
    from indexer.manifest import Manifest, manifest_stamp
    from indexer.passages import embedded_passages, sample_passages
    from indexer.paths import full_path
    from indexer.pictures import draw_page
    from indexer.records import FoundChunk, Where, WordQuery
    from indexer.remembered import read_sources
    from indexer.removal import RemovalReport, remove_documents
    from indexer.snapshot import Snapshot, open_snapshot
    from indexer.sources import Source
    from indexer.space import Space, Spaces, estimate_space
    from indexer.steps import BuiltWith, Stage, read_built_with
    from indexer.survey import CorpusMap, NearDuplicate, Oddities, draw_map, find_oddities
    from indexer.terms import split_words
    from indexer.update import BuildReport
    from indexer.vectors import IndexDevice
    from indexer.verify import verify_index
    from indexer.wordings import wordings_of

__all__ = [
    "FORMATS",
    "BuildReport",
    "BuiltWith",
    "Check",
    "Chunk",
    "Chunking",
    "CorpusMap",
    "Document",
    "FoundChunk",
    "Heading",
    "IndexDevice",
    "IndexedDocument",
    "ListedDocument",
    "Manifest",
    "NearDuplicate",
    "Oddities",
    "Passage",
    "RemovalReport",
    "Snapshot",
    "Source",
    "Space",
    "Spaces",
    "Stage",
    "Where",
    "WordQuery",
    "build_index",
    "cut_chunks",
    "draw_map",
    "draw_page",
    "embedded_passages",
    "embedded_text",
    "estimate_space",
    "find_oddities",
    "find_passage",
    "full_path",
    "function_words",
    "index_documents",
    "indexed_document",
    "is_function_word",
    "language_of",
    "list_documents",
    "manifest_stamp",
    "open_snapshot",
    "question_language",
    "read_built_with",
    "read_document",
    "read_sources",
    "remove_documents",
    "sample_passages",
    "split_words",
    "title_path",
    "verify_index",
    "wordings_of",
]

_HOMES = {
    "embedded_passages": "passages",
    "estimate_space": "space",
    "wordings_of": "wordings",
    "language_of": "languages",
    "sample_passages": "passages",
    "embedded_text": "chunks",
    "FORMATS": "formats",
    "BuildReport": "update",
    "BuiltWith": "steps",
    "Check": "inspection",
    "Chunk": "chunks",
    "Chunking": "chunks",
    "CorpusMap": "survey",
    "Document": "documents",
    "FoundChunk": "records",
    "Heading": "documents",
    "IndexDevice": "vectors",
    "IndexedDocument": "listing",
    "ListedDocument": "listing",
    "Manifest": "manifest",
    "NearDuplicate": "survey",
    "Oddities": "survey",
    "Passage": "listing",
    "RemovalReport": "removal",
    "Snapshot": "snapshot",
    "Space": "space",
    "Spaces": "space",
    "Source": "sources",
    "Stage": "steps",
    "Where": "records",
    "WordQuery": "records",
    "build_index": "build",
    "cut_chunks": "chunks",
    "draw_map": "survey",
    "draw_page": "pictures",
    "find_oddities": "survey",
    "find_passage": "listing",
    "full_path": "paths",
    "function_words": "languages",
    "index_documents": "given",
    "indexed_document": "listing",
    "is_function_word": "languages",
    "list_documents": "listing",
    "manifest_stamp": "manifest",
    "open_snapshot": "snapshot",
    "question_language": "languages",
    "read_built_with": "steps",
    "read_document": "formats",
    "read_sources": "remembered",
    "remove_documents": "removal",
    "split_words": "terms",
    "title_path": "chunks",
    "verify_index": "verify",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: FAISS and the parsers are not needed by every command."""
    if name not in _HOMES:
        raise AttributeError(f"module 'indexer' has no attribute {name!r}")
    return getattr(import_module(f"indexer.{_HOMES[name]}"), name)
