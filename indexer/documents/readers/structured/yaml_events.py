"""Parse YAML to events. Nothing is built of them: aliases are not followed, and tags mean nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from echo_index.indexer.documents.readers.structured.events import Event

if TYPE_CHECKING:
    import yaml

_MAX_DEPTH = 200  # the parser takes quadratic time in the depth


def yaml_events(text: str) -> Iterator[Event]:
    """Yield the events of all documents of a YAML file, up to the first fault."""
    import yaml

    depth = 0
    try:
        for parsed in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            event = _event(parsed)
            depth += 0 if event is None or event.kind == "scalar" else -1 if event.kind == "end" else 1
            if depth > _MAX_DEPTH:
                return
            if event is not None:
                yield event
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # PyYAML raises any of these
        return


def _event(parsed: yaml.Event) -> Event | None:
    import yaml

    offset = parsed.start_mark.index if parsed.start_mark else 0
    if isinstance(parsed, yaml.MappingStartEvent):
        return Event("mapping", offset)
    if isinstance(parsed, yaml.SequenceStartEvent):
        return Event("sequence", offset)
    if isinstance(parsed, yaml.CollectionEndEvent):
        return Event("end", offset)
    if isinstance(parsed, yaml.ScalarEvent):
        return Event("scalar", offset, parsed.value)
    return Event("scalar", offset, f"*{parsed.anchor}") if isinstance(parsed, yaml.AliasEvent) else None
