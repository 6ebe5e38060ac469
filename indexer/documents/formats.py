"""Read a file as a Document, with the reader for its suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath
from typing import cast

from echo_index.errors import DocumentError
from echo_index.indexer.documents.document import Document, valid_document
from echo_index.indexer.documents.ocr.engine import installed_engine
from echo_index.indexer.documents.ocr.recognizer import Recognizer
from echo_index.indexer.documents.plugins import installed_plugins, plugin_reader
from echo_index.indexer.documents.readers.source_code.languages import LANGUAGES
from echo_index.indexer.storage.safe_open import MEGABYTE, read_file

Reader = Callable[..., Document]

_PACKAGE = "echo_index.indexer.documents.readers"

_CODE_SUFFIXES = """
    .pyx .vue .svelte .groovy .gradle .clj .cljs .fs .fsx .vb .zig .nim .d .mli .lisp .scm .fish .bat .cmd
    .css .scss .sass .less .jsonl .ndjson .ini .cfg .conf .properties .mk .asm .s .f90 .pas .vhd .sv
"""
_XML_SUFFIXES = """
    .xml .nxml .xsd .xsl .xslt .wsdl .rss .atom .rdf .owl .plist .kml .gpx .opml .tei .dbk .docbook .dita .ditamap
    .xlf .xliff .tmx .resx .xaml .csproj .fsproj .vbproj .props .targets .nuspec
"""

_READERS = (
    ("text", "plain:read_text", ".txt .text .log .org .adoc .asciidoc .tex .bib"),
    ("markdown", "markdown.reader:read_markdown", ".md .markdown .mdown .mkd .mkdn .qmd .rmd"),
    ("markdown", "markdown.reader:read_mdx", ".mdx"),
    ("rst", "rst:read_rst", ".rst .rest"),
    ("html", "html.reader:read_html", ".html .htm"),
    ("html", "html.reader:read_xhtml", ".xhtml"),
    ("docx", "word.reader:read_docx", ".docx .docm .dotx .dotm"),
    ("rtf", "rtf.reader:read_rtf", ".rtf"),
    ("pptx", "powerpoint.reader:read_pptx", ".pptx .pptm .ppsx .ppsm .potx .potm"),
    ("epub", "epub.reader:read_epub", ".epub"),
    ("odt", "opendocument.reader:read_odt", ".odt .ott .fodt"),
    ("odp", "opendocument.reader:read_odp", ".odp .otp .fodp"),
    ("notebook", "notebook:read_notebook", ".ipynb"),
    ("subtitles", "subtitles:read_srt", ".srt"),
    ("subtitles", "subtitles:read_vtt", ".vtt"),
    ("spreadsheet", "sheets.workbook:read_workbook", ".xlsx .xlsm .xltx .xltm .xlsb .xls .xlt .ods .ots"),
    ("csv", "sheets.delimited:read_delimited", ".csv .tsv .tab"),
    ("code", "plain:read_python", ".py .pyi"),
    ("code", "structured.reader:read_json", ".json"),
    ("code", "structured.reader:read_yaml", ".yaml .yml"),
    ("code", "structured.reader:read_toml", ".toml"),
    ("code", "structured.reader:read_xml", _XML_SUFFIXES),
    *(("code", f"source_code.reader:read_source_code:{each.name}", each.suffixes) for each in LANGUAGES.values()),
    ("code", "plain:read_code", _CODE_SUFFIXES),
)
"""Each format with a reader, as module and function in `readers`, for some with a language, and the suffixes."""

_READERS_WITH_PARTS = (
    ("mail", "mail.reader:read_mail", ".eml"),
    ("mail", "mail.reader:read_msg", ".msg"),
    ("mail", "mail.reader:read_mailbox", ".mbox .mbx"),
)
"""Formats with files of other formats inside. Their readers get a function that reads one of those."""

_READERS_WITH_PICTURES = (
    ("pdf", "pdf.reader:read_pdf", ".pdf"),
    ("image", "scans.pictures:read_picture", ".png .jpg .jpeg .tif .tiff .webp .bmp"),
)
"""Formats with pictures of text. Their readers get a recognizer, if there is one."""

FORMATS: dict[str, str] = {
    suffix: format
    for format, _, suffixes in (*_READERS, *_READERS_WITH_PARTS, *_READERS_WITH_PICTURES)
    for suffix in suffixes.split()
}
"""The format of each known suffix; suffixes are in lower case and include the dot."""

PICTURE = "image"
"""The format of files that are pictures."""

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""The ends of the names of archives, whose members are documents of their own."""

_READERS_VERSION = "5"  # to be raised when readers find more in files than before

_READER_NAMES = {suffix: name for _, name, suffixes in _READERS for suffix in suffixes.split()}
_READER_WITH_PARTS_NAMES = {suffix: name for _, name, suffixes in _READERS_WITH_PARTS for suffix in suffixes.split()}
_READER_WITH_PICTURES_NAMES = {
    suffix: name for _, name, suffixes in _READERS_WITH_PICTURES for suffix in suffixes.split()
}
_MAX_POSITIONS = 250_000  # of headings, of pages, of tables, and of places


def readers_version(*, ocr: bool = True) -> str:
    """Return the version of all readers. When it changes, the next build reads unchanged files again.

    With `ocr` it includes the engine that reads pictures.

    Raises:
        SourceError: an installed reader cannot be loaded.
    """
    plugins = [f"{plugin.name} {plugin.version}" for plugin in installed_plugins()]
    engine = installed_engine() if ocr else None
    return ", ".join([_READERS_VERSION, *plugins, *([f"OCR by {engine.name}"] if engine else [])])


def has_reader(file_name: str, *, ocr: bool = True) -> bool:
    """Return whether a reader takes files of this name; files without one are read if they are plain text.

    Pictures have a reader with `ocr` only, and if an engine for it is installed.

    Raises:
        SourceError: an installed reader cannot be loaded.
    """
    dot = file_name.rfind(".")  # creating path objects would take most of the time of a scan
    format = FORMATS.get(file_name[dot:].lower()) if dot > 0 else None
    if format is not None and (format != PICTURE or (ocr and installed_engine() is not None)):
        return True
    return plugin_reader(file_name) is not None


def is_archive(file_name: str) -> bool:
    """Return whether files of this name are archives whose members are documents.

    Raises:
        SourceError: an installed reader cannot be loaded.
    """
    return file_name.lower().endswith(ARCHIVE_SUFFIXES) and plugin_reader(PurePath(file_name).name) is None


def read_document(path: Path, *, max_bytes: int = 64 * MEGABYTE) -> Document:
    """Read a file with the reader for its suffix, as plain text if the suffix is unknown.

    The title is the file name if the document has none.

    Raises:
        DocumentError: the file cannot be read, is larger than `max_bytes`, is broken, encrypted or binary, or contains
            no text. The message does not name the file.
    """
    try:
        content = read_file(path, max_bytes=max_bytes).content
    except FileNotFoundError as error:
        raise DocumentError("It cannot be read: no such file or directory.") from error
    return parse_document(content, path)


def parse_document(content: bytes, path: PurePath, *, recognizer: Recognizer | None = None) -> Document:
    """Parse the content of the file at `path` with the reader for its suffix. No file is opened.

    Pictures of text are read by the recognizer, or not at all. Titles are truncated to 500 characters.

    Raises:
        DocumentError: the content is broken, encrypted or binary, contains no text, or has more than 250,000 headings,
            pages, tables or places.
    """
    document = _find_reader(path, recognizer)(content)
    if not document.text.strip():
        raise DocumentError("It is empty.")
    for positions, name in (
        (document.headings, "headings"),
        (document.pages, "pages"),
        (document.tables, "tables"),
        (document.places, "places"),
    ):
        if len(positions) > _MAX_POSITIONS:
            raise DocumentError(f"It has {len(positions):,} {name}; the limit is {_MAX_POSITIONS:,}.")
    file_name = path.name if document.format == "code" else path.stem
    return valid_document(replace(document, has_own_title=bool(document.title), title=document.title or file_name))


def _read_part(content: bytes, name: str, *, recognizer: Recognizer | None) -> Document | None:
    """Return a file within a file, None if no reader takes it. Files that have files inside themselves are not taken.

    Raises:
        DocumentError: as of `parse_document`.
    """
    path = PurePath(name)
    can_read = has_reader(name, ocr=recognizer is not None)
    if can_read and path.suffix.lower() not in _READER_WITH_PARTS_NAMES:
        return parse_document(content, path, recognizer=recognizer)
    return None


def _find_reader(path: PurePath, recognizer: Recognizer | None) -> Reader:
    """Return the reader for a file: an installed one, else that of its suffix, else that of plain text.

    It is imported when needed: most readers are slow to import, and a build needs few of them.
    """
    if plugin := plugin_reader(path.name):
        return plugin.read
    suffix = path.suffix.lower()
    if suffix in _READER_WITH_PARTS_NAMES:
        return partial(_import(_READER_WITH_PARTS_NAMES[suffix]), read_part=partial(_read_part, recognizer=recognizer))
    if suffix in _READER_WITH_PICTURES_NAMES:
        return partial(_import(_READER_WITH_PICTURES_NAMES[suffix]), recognizer=recognizer)
    return _import(_READER_NAMES.get(suffix, "plain:read_text"))


def _import(name: str) -> Reader:
    module, function, *language = name.split(":")
    reader = cast("Reader", getattr(import_module(f"{_PACKAGE}.{module}"), function))
    return partial(reader, language=language[0]) if language else reader
