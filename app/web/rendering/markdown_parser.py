"""Parse Markdown into tokens that know where their text stands in the source."""

from __future__ import annotations

import re
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_inline.state_inline import StateInline
from markdown_it.token import Token

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_LINK = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)
_REFERENCE = re.compile(r"(?<!\\)\[(?P<text>[^\]\[\\]{1,200})\]\[(?P<label>[^\]\[\\]{0,200})\]")
_WITH_TEXT = frozenset(("text", "text_special", "code_inline"))


class _LocatingParser(ParserInline):
    """Parses inline Markdown as the base class does, and notes where each token stands.

    `meta["span"]` of a token are the characters of the content that it was made of; for one with text they are those of
    the text itself wherever the text is as in the source.
    """

    def tokenize(self, state: StateInline) -> None:
        """Generate the tokens of a range of the content."""
        rules = self.ruler.getRules("")
        end, max_nesting = state.posMax, state.md.options["maxNesting"]
        waiting: int | None = None  # where the text begins that is not in a token yet
        while state.pos < end:
            start, known = state.pos, len(state.tokens)
            if state.level >= max_nesting or not any(rule(state, False) for rule in rules):
                state.append_pending(state.src[start])
                state.pos = start + 1
            if len(state.tokens) > known:
                _locate(state, known, start, waiting)
                waiting = None
            elif waiting is None:
                waiting = start
        if state.pending:
            token = state.pushPending()
            begin = end if waiting is None else waiting
            token.meta["span"] = (begin, begin + len(token.content))


def _locate(state: StateInline, first: int, start: int, waiting: int | None) -> None:
    """Note where the tokens from number `first` on stand, which a rule made of the text from `start` to `state.pos`.

    The first of them is the text before it if any was waiting.
    """
    new = state.tokens[first:]
    if waiting is not None and new[0].type == "text" and state.src.startswith(new[0].content, waiting):
        new[0].meta["span"] = (waiting, waiting + len(new[0].content))
    cursor = start
    for token in new:
        if "span" in token.meta:
            continue
        token.meta["span"] = (start, state.pos)
        if token.type in _WITH_TEXT:
            found = state.src.replace("\n", " ").find(token.content, cursor, state.pos)
            if found >= 0:
                cursor = found + len(token.content)
                token.meta["span"] = (found, cursor)


class _Parser(MarkdownIt):
    """A parser that takes only harmless links for links."""

    def validateLink(self, url: str) -> bool:
        """Return whether an address is harmless: one that a browser may follow, or one without a scheme."""
        return is_link(url) or not _SCHEME.match(url)


@cache
def _parser(*, links: bool = True) -> MarkdownIt:
    """Return the parser: CommonMark with tables and strikethrough, without HTML, and inline text only on request.

    Entities are text, because readers have replaced those that are meant. Without `links`, links and images are text.
    """
    without = ("entity",) if links else ("entity", "link", "image", "autolink")
    markdown = _Parser("commonmark", {"html": False, "maxNesting": 40}).enable(["table", "strikethrough"])
    inline = _LocatingParser()
    inline.ruler.enableOnly([rule for rule in markdown.inline.ruler.get_active_rules() if rule not in without])
    # Tokens that are joined would not know where they stand.
    inline.ruler2.enableOnly([rule for rule in markdown.inline.ruler2.get_active_rules() if rule != "fragments_join"])
    markdown.inline = inline
    return markdown.disable(["inline", "text_join"] if links else ["inline", "text_join", "reference"])


def block_tokens(source: str, *, links: bool = True) -> tuple[list[Token], dict[str, object]]:
    """Return the tokens of the blocks of a source, and the environment for what is in them: the definitions of links.

    A link whose definition is elsewhere has no address, so that only its text is shown.
    """
    environment: dict[str, object] = {}
    tokens = _parser(links=links).parse(source, environment)
    references = environment.setdefault("references", {})
    assert isinstance(references, dict)
    for match in _REFERENCE.finditer(source):
        references.setdefault(normalizeReference(match["label"] or match["text"]), {"href": "", "title": ""})
    return tokens, environment


def inline_tokens(content: str, environment: dict[str, object], *, links: bool = True) -> list[Token]:
    """Return the tokens of a paragraph, heading or cell; `environment` has the definitions of links."""
    markdown = _parser(links=links)
    return markdown.inline.parse(content, markdown, environment, [])


def is_link(address: str) -> bool:
    """Return whether a browser may follow an address: http, https or mailto."""
    return _LINK.match(address) is not None
