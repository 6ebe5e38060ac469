"""Split a mailbox (MBOX) into its mails."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A line that begins a mail has the time at which it came, or nothing, and the header follows. So a sentence that begins
# with "From" is none. Most programs write a blank line before, but not all.
_BEGIN = re.compile(
    rb"^From (?:[^\r\n]{0,300}\d\d?:\d\d[^\r\n]{0,100}|-?[ \t]*)\r?\n"
    rb"(?=(?:>?From [^\r\n]*\r?\n)?[!-9;-~]{1,200}[ \t]*:)",
    re.MULTILINE,
)
_QUOTED_FROM = re.compile(rb"^>(?=>*From )", re.MULTILINE)


def split_mailbox(content: bytes) -> Iterator[bytes]:
    """Yield the source of each mail, without the line before it, and with its own lines that begin with "From ".

    Without any such line, the content is one mail.
    """
    begins = [*_BEGIN.finditer(content)]
    if not begins:
        yield content
        return
    ends = [begin.start() for begin in begins[1:]] + [len(content)]
    for begin, end in zip(begins, ends, strict=True):
        yield _QUOTED_FROM.sub(b"", content[begin.end() : end])
