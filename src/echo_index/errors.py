"""The errors of all four rooms, in one tree. Each says what was wrong and, where there is one, the way to mend it.

EchoIndexError
├── PromptError          a template that cannot be used
├── TextError            a text that cannot be embedded
├── ModelError           a model that cannot be found, read or run
│   └── MissingPackage   an optional package that is not installed
├── DeviceError          a device that was asked for and is not there
├── SourceError          a folder, file or pattern to index that cannot be used
│   └── DocumentError    one document that cannot be read
├── IndexMissing         no complete index where one was expected
├── IndexMismatch        an index made by something else than what is asked for now
├── IndexDamaged         an index whose files contradict each other
├── IndexUnwritable      an index that cannot be written: a full disk, a read-only folder
├── IndexBusy            another process is writing the index
└── QuestionError        a question or filter that cannot be searched for
"""

from __future__ import annotations


class EchoIndexError(Exception):
    """What went wrong, as one sentence, and `remedy`: the command or the act that mends it ('' where there is none)."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".rstrip())
        self.message = message
        self.remedy = remedy


class PromptError(EchoIndexError):
    """A template that cannot be used."""


class TextError(EchoIndexError):
    """A text that cannot be embedded."""


class ModelError(EchoIndexError):
    """A model that cannot be found, read or run."""


class MissingPackage(ModelError):
    """An optional package that is not installed."""


class DeviceError(EchoIndexError):
    """A device that was asked for and is not there."""


class SourceError(EchoIndexError):
    """A folder, file or pattern to index that cannot be used."""


class DocumentError(SourceError):
    """One document that cannot be read."""


class IndexMissing(EchoIndexError):
    """No complete index where one was expected."""


class IndexMismatch(EchoIndexError):
    """An index made by something else than what is asked for now."""


class IndexDamaged(EchoIndexError):
    """An index whose files contradict each other."""


class IndexUnwritable(EchoIndexError):
    """An index that cannot be written: a full disk, a read-only folder."""


class IndexBusy(EchoIndexError):
    """Another process is writing the index."""


class QuestionError(EchoIndexError):
    """A question or filter that cannot be searched for."""
