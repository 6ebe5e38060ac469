"""Decode the text of RTF, with the code pages of its fonts."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from echo_index.errors import DocumentError
from echo_index.indexer.documents.readers.code_pages import code_page_of_font, codec_of_code_page
from echo_index.indexer.documents.readers.office.symbols import is_symbol_font, symbol_text
from echo_index.indexer.documents.readers.rtf.tokens import Token, tokens

RTF_MARK = b"{\\rtf"

_MAX_DEPTH = 200_000  # groups within each other
_MAX_FONT_NAME = 100
_PRIVATE_USE = range(0xF020, 0xF100)  # where Word stores the codes of symbol fonts
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_CHARACTERS = {  # control words and symbols that are written for a character
    **{"emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”"},
    **{"bullet": "•", "emspace": "\u2003", "enspace": "\u2002", "qmspace": "\u2005", "zwj": "\u200d", "zwnj": "\u200c"},
    **{"~": "\u00a0", "_": "-", "-": "\u00ad"},
}
_WORDS_OF_SYMBOLS = {"\n": "par", "\r": "par", "\t": "tab"}
_DOCUMENT_ENCODINGS = {"ansi": 1252, "mac": 10000, "pc": 437, "pca": 850}
_ENCODING_WORDS = {"plain", "info", "fonttbl", "deff", "ansicpg", "fcharset", "cpg", *_DOCUMENT_ENCODINGS}
_DEFAULT_CODEC = "cp1252"
_NO_NUMBER = -1  # of a font


@dataclass(frozen=True, slots=True)
class Event:
    """A border of a group, "{" or "}", or a control word with its number, or text.

    `is_optional` is for words that programs may pass over if they do not know them.
    """

    border: str = ""
    word: str = ""
    number: int | None = None
    is_optional: bool = False
    text: str = ""


@dataclass(slots=True)
class _Font:
    name: str = ""
    codec: str = ""  # "" for that of the document


@dataclass(frozen=True, slots=True)
class _Frame:
    """What holds for the text of a group: its font, how many characters follow one of Unicode, and where it goes."""

    font: int | None = None
    skipped: int = 1
    names_fonts: bool = False


_OPEN, _CLOSE = Event(border="{"), Event(border="}")


def events(content: bytes, words: Container[str]) -> Iterator[Event]:
    """Yield the events of RTF, with its text decoded, to the end of the outermost group.

    Of control words, only those in `words` are yielded, and those that programs may pass over with their group.

    Raises:
        DocumentError: its groups are nested too deeply.
    """
    scanner = _Scanner(words)
    for token in tokens(content):
        scanner.pass_token(token)
        if scanner.ready:
            yield from scanner.ready
            scanner.ready.clear()
        if scanner.is_at_end:
            return
    scanner.end_text()
    yield from scanner.ready


@dataclass(slots=True)
class _Scanner:
    """Decodes tokens. `_bytes` are those of text whose characters may go on in the next token.

    `ready` takes the events that are complete.
    """

    words: Container[str]
    ready: list[Event] = field(default_factory=list)
    is_at_end: bool = False
    _frame: _Frame = field(default_factory=_Frame)
    _stack: list[_Frame] = field(default_factory=list)
    _fonts: dict[int, _Font] = field(default_factory=dict)
    _codec: str = _DEFAULT_CODEC
    _default_font: int | None = None
    _named_font: int = 0
    _bytes: bytearray = field(default_factory=bytearray)
    _text: list[str] = field(default_factory=list)
    _to_skip: int = 0
    _is_after_open: bool = False
    _is_optional: bool = False

    def pass_token(self, token: Token) -> None:
        """Take a token."""
        if token.text:
            skipped = min(self._to_skip, len(token.text))
            self._to_skip -= skipped
            self._bytes += token.text[skipped:]
            return
        if token.word == "u":
            self._write_code(token.number)
            return
        self._to_skip = 0
        if token.word in _CHARACTERS or token.symbol in _CHARACTERS:
            self._decode()
            self._text.append(_CHARACTERS[token.word or token.symbol])
        elif token.word in {"f", "uc"}:  # these may stand between the two halves of a character
            self._decode()
            self._note_word(token.word, token.number)
        elif token.border:
            self._pass_border(token)
        elif token.symbol == "*":
            self._is_optional = self._is_after_open
        else:
            self._pass_word(token)

    def end_text(self) -> None:
        """Let the text so far be an event, unless it is the name of a font."""
        self._decode()
        text = "".join(self._text)
        self._text.clear()
        if text and self._frame.names_fonts:
            self._name_font(text)
        elif text:
            self.ready.append(Event(text=_SURROGATES.sub(_pair, text)))

    def _pass_border(self, token: Token) -> None:
        self.end_text()
        self._is_after_open = token.border == "{"
        self._is_optional = False
        if token.border == "{":
            if len(self._stack) == _MAX_DEPTH:
                raise DocumentError("It is not a readable RTF: its groups are nested too deeply.")
            self._stack.append(self._frame)
            self.ready.append(_OPEN)
            return
        self._frame = self._stack.pop() if self._stack else self._frame
        self.is_at_end = not self._stack
        self.ready.append(_CLOSE)

    def _pass_word(self, token: Token) -> None:
        word, is_optional = token.word or _WORDS_OF_SYMBOLS.get(token.symbol, ""), self._is_optional
        self._is_after_open = self._is_optional = False
        if word in _ENCODING_WORDS or is_optional or word in self.words:
            self.end_text()
            if is_optional and self._frame.names_fonts:
                self._frame = _Frame(self._frame.font, self._frame.skipped)
            self._note_word(word, token.number)
            if is_optional or word in self.words:
                self.ready.append(Event(word=word, number=token.number, is_optional=is_optional))

    def _note_word(self, word: str, number: int | None) -> None:
        """Note what a control word says about the encoding of the text behind it."""
        frame = self._frame
        if word in {"f", "plain"}:
            self._named_font = number or 0
            self._frame = _Frame(None if word == "plain" else number, frame.skipped, frame.names_fonts)
        elif word == "uc":
            self._frame = _Frame(frame.font, max(0, number or 0), frame.names_fonts)
        elif word == "info":  # in the encoding of the document
            self._frame = _Frame(_NO_NUMBER, frame.skipped)
        elif word == "fonttbl":
            self._frame = _Frame(frame.font, frame.skipped, names_fonts=True)
        elif word == "deff":
            self._default_font = number
        elif word == "ansicpg" or word in _DOCUMENT_ENCODINGS:
            code_page = number if word == "ansicpg" else _DOCUMENT_ENCODINGS[word]
            self._codec = codec_of_code_page(code_page or 0) or self._codec
        elif frame.names_fonts and word in {"fcharset", "cpg"} and number is not None:
            code_page = code_page_of_font(number) if word == "fcharset" else number
            if code_page is not None:
                self._fonts.setdefault(self._named_font, _Font()).codec = codec_of_code_page(code_page)

    def _name_font(self, text: str) -> None:
        font = self._fonts.setdefault(self._named_font, _Font())
        if not font.name.endswith(";"):
            font.name = (font.name + text.lstrip())[:_MAX_FONT_NAME]

    def _font(self) -> _Font:
        number = self._default_font if self._frame.font is None else self._frame.font
        return self._fonts.get(number, _NO_FONT) if number is not None else _NO_FONT

    def _write_code(self, number: int | None) -> None:
        """Write a character of Unicode; as many as the group says stand behind it for old programs."""
        self._decode()
        self._to_skip = self._frame.skipped
        code = (number or 0) % 0x10000
        if code in _PRIVATE_USE and not is_symbol_font(self._font().name.rstrip("; ")):
            self._text.append(bytes([code & 0xFF]).decode(_DEFAULT_CODEC, "ignore"))
        else:
            self._text.append(self._seen(chr(code) if code else ""))

    def _decode(self) -> None:
        if self._bytes:
            self._text.append(self._seen(self._bytes.decode(self._font().codec or self._codec, "replace")))
            self._bytes.clear()

    def _seen(self, text: str) -> str:
        name = self._font().name.rstrip("; ")
        return symbol_text(text, font=name) if is_symbol_font(name) else text


_NO_FONT = _Font()


def _pair(surrogates: re.Match[str]) -> str:
    return surrogates[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
