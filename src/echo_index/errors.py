"""All errors that echo-index raises on purpose. Each has a message and, where possible, a remedy.

EchoIndexError
├── PromptError          invalid prompt template
├── TextError            a text that cannot be embedded
├── ModelError           a model that cannot be found, read or run
│   └── MissingPackage   an optional package that is not installed
├── DeviceError          a requested device that does not exist
├── SourceError          a folder, file or pattern that cannot be indexed
│   └── DocumentError    one document that cannot be read
├── IndexMissing         no complete index in a folder
├── IndexMismatch        an index that was built with other settings than the requested ones
├── IndexKindError       a kind of vector index that there is not, or that cannot be built from these vectors
├── IndexDamaged         an index whose files contradict each other
├── IndexUnwritable      an index that cannot be written: full disk, read-only folder
├── IndexBusy            an index that another process is writing
├── EngineError          many machines that cannot be reached or cannot do their work
├── StoreError           a store that an index is published to or read from
├── ExchangeError        a file that an index cannot be exported to or imported from
├── CollectionError      a name of an index that does not exist, or the list of names
└── QuestionError        a query or filter that cannot be searched
    └── FilterError      a filter that cannot be read, such as a date that is none
        └── ConditionError   a condition on fields that cannot be parsed; it says where
"""

from __future__ import annotations


class EchoIndexError(Exception):
    """Base class of all errors: `message` is a sentence, `remedy` tells how to fix the problem ('' if unknown)."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".rstrip())
        self.message = message
        self.remedy = remedy


class PromptError(EchoIndexError):
    """A prompt template is invalid."""


class TextError(EchoIndexError):
    """A text cannot be embedded."""


class ModelError(EchoIndexError):
    """A model cannot be found, read or run."""


class MissingPackage(ModelError):
    """An optional package is not installed."""


class DeviceError(EchoIndexError):
    """A requested device does not exist."""


class SourceError(EchoIndexError):
    """A folder, file or pattern cannot be indexed."""


class DocumentError(SourceError):
    """A document cannot be read."""


class IndexMissing(EchoIndexError):
    """A folder contains no complete index. `collection` is its name if it is one of several."""

    def __init__(self, message: str, *, remedy: str = "", collection: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.collection = collection


class IndexMismatch(EchoIndexError):
    """An index was built with other settings than the requested ones."""


class IndexKindError(EchoIndexError):
    """FAISS has no vector index of the requested kind, or it cannot be built from these vectors."""


class IndexDamaged(EchoIndexError):
    """The files of an index contradict each other."""


class IndexUnwritable(EchoIndexError):
    """An index cannot be written, for example on a full disk or in a read-only folder."""


class IndexBusy(EchoIndexError):
    """Another process is writing the index."""


class EngineError(EchoIndexError):
    """The machines that an index is built on cannot be reached, or cannot do their work."""


class StoreError(EchoIndexError):
    """A store that an index is published to cannot be reached, or does not hold what is asked of it."""


class ExchangeError(EchoIndexError):
    """An index cannot be exported to a file or imported from it."""


class CollectionError(EchoIndexError):
    """A collection does not exist or cannot have this name, or the list of collections cannot be read or written."""


class QuestionError(EchoIndexError):
    """A query or filter cannot be searched."""


class FilterError(QuestionError):
    """A filter cannot be read."""


class ConditionError(FilterError):
    """A condition on fields cannot be parsed.

    `excerpt` has two lines: the text around the place where it stops making sense, and a caret below that place.
    """

    def __init__(self, message: str, *, remedy: str = "", excerpt: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.excerpt = excerpt
