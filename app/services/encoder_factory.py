"""From what a person asked for to a loaded encoder: the options given, then what the index was built with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echo_index.app.defaults import DEFAULTS
from echo_index.errors import SourceError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder, PrecisionChoice
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.building.build_session import BuiltWith
    from echo_index.indexer.documents.chunking import Chunking
    from echo_index.indexer.sources.source import Source

Notice = Callable[[str], None]
_PREFIX_TOKENS = 56  # room for title and headings


@dataclass(frozen=True)
class EncoderOptions:
    """What a person said about the encoder; None is nothing. `no_adapter` is the plain model, where it has one."""

    model: str | None = None
    adapter: Path | None = None
    no_adapter: bool = False
    layer: str | None = None
    pooling: str | None = None
    document_prompt: str | None = None
    query_prompt: str | None = None
    precision: PrecisionChoice | None = None
    device: DeviceChoice = "auto"


def open_encoder(
    options: EncoderOptions, *, before: BuiltWith | None, chunk_tokens: int, notice: Notice
) -> EchoEncoder:
    """Load the encoder for a build: an index goes on with the encoder it was built with, unless options say otherwise.

    A new index takes the adapter that comes along for its model. Each copy of a text is given room for a whole chunk
    and the title and headings in front of it.

    Raises:
        ModelError, PromptError: the options name something that does not work.
    """
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.models.bundled import DEFAULT_MODEL
    from echo_index.embeddings.models.language_model import load_model
    from echo_index.embeddings.text.echo_prompt import EchoPrompt

    goes_on = before is not None and options.model in (None, before.encoder["model"])
    if before is not None and goes_on and options.adapter is None and not options.no_adapter:
        encoder = EchoEncoder.from_config(before.encoder, device=options.device, notice=notice)
    else:
        name = DEFAULT_MODEL if options.model is None else options.model
        own: Literal["own"] | None = None if options.no_adapter else "own"
        adapter = options.adapter or own
        loaded = load_model(name, adapter=adapter, device=options.device, notice=notice)
        encoder = EchoEncoder(loaded, precision=options.precision or DEFAULTS.precision)
    return encoder.with_options(
        layer=options.layer,
        pooling=options.pooling,
        document_prompt=EchoPrompt(options.document_prompt) if options.document_prompt else None,
        query_prompt=EchoPrompt(options.query_prompt) if options.query_prompt else None,
        max_tokens=max(encoder.max_tokens, chunk_tokens + _PREFIX_TOKENS),
        precision=options.precision,
    )


def encoder_from_index(
    model: str | None, *, device: DeviceChoice, notice: Notice
) -> Callable[[dict[str, str | int | None]], EchoEncoder]:
    """Return what loads the encoder that an index describes; `model` is where its model lies now, if it has moved."""

    def load(described: dict[str, str | int | None]) -> EchoEncoder:
        from echo_index.embeddings.encoder import EchoEncoder

        return EchoEncoder.from_config(described, model=model, device=device, notice=notice)

    return load


def choose_sources(
    names: Sequence[str], index_dir: Path, *, include: Sequence[str], exclude: Sequence[str], notice: Notice
) -> list[Source]:
    """Return the sources that are named, else those of earlier builds, with these patterns; none where there are none.

    Raises:
        SourceError: a source is not there, or not any more.
    """
    from echo_index.indexer.generations.source_registry import read_sources
    from echo_index.indexer.sources.source import Source

    if names:
        return [Source.parse(name, include=include, exclude=exclude) for name in names]
    sources = []
    for name in read_sources(index_dir):
        try:
            sources.append(Source.parse(name, include=include, exclude=exclude))
        except SourceError as error:
            reason = error.message[0].lower() + error.message[1:]
            raise SourceError(
                f"A source of the index in {index_dir} cannot be built again: {reason}",
                remedy="Put it back, or name the others, and it is forgotten: echo-index build SOURCE...",
            ) from None
    if sources:
        notice(f"The sources of earlier builds: {', '.join(source.name for source in sources)}")
    return sources


def choose_chunking(max_tokens: int | None, overlap_tokens: int | None, *, before: BuiltWith | None) -> Chunking:
    """Return how documents are cut: as asked, else as the index was begun, else by default."""
    from echo_index.indexer.documents.chunking import Chunking

    base = Chunking(DEFAULTS.chunk_tokens, DEFAULTS.overlap_tokens) if before is None else before.chunking
    return Chunking(
        max_tokens=base.max_tokens if max_tokens is None else max_tokens,
        overlap_tokens=base.overlap_tokens if overlap_tokens is None else overlap_tokens,
    )
