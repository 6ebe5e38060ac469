"""Choose encoder and chunking of a build: the options that were given, else those of the index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from echo_index.app.defaults import DEFAULTS

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder, PrecisionChoice
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.building.built_with import BuiltWith
    from echo_index.indexer.documents.chunking import Chunking

Notice = Callable[[str], None]
_PREFIX_TOKENS = 56  # for the title and headings in front of a chunk


@dataclass(frozen=True)
class EncoderOptions:
    """Options of the encoder; None means not given. `no_adapter` is the model without any adapter.

    `profile` is the name of the profile of a known model, whose settings are taken where no option says otherwise.
    """

    model: str | None = None
    adapter: Path | None = None
    no_adapter: bool = False
    layer: str | None = None
    pooling: str | None = None
    document_prompt: str | None = None
    query_prompt: str | None = None
    precision: PrecisionChoice | None = None
    device: DeviceChoice = "auto"
    instruction: str | None = None
    profile: str | None = None


def open_encoder(
    options: EncoderOptions, *, before: BuiltWith | None, chunk_tokens: int, notice: Notice, rebuild: bool = False
) -> EchoEncoder:
    """Load the encoder for a build: the one that the index was built with, changed by the options.

    A new index uses the bundled adapter of its model, if there is one. The token limit of each copy of a text is
    raised, where needed, to a whole chunk with its title and headings.

    The precision "auto" is that of the index, whatever is fastest on this machine, unless it is built anew: `rebuild`.

    Raises:
        ModelError: the model or the adapter cannot be loaded, or there is no such profile.
        PromptError: a prompt template is invalid.
    """
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.models.bundled import DEFAULT_MODEL
    from echo_index.embeddings.models.model_loading import load_model
    from echo_index.embeddings.models.profiles import reminding_of
    from echo_index.embeddings.models.resolve import full_name
    from echo_index.embeddings.text.echo_prompt import EchoPrompt

    same_model = before is not None and (options.model is None or full_name(options.model) == before.encoder["model"])
    precision = options.precision
    if before is not None and same_model and options.adapter is None and not options.no_adapter:
        precision = None if precision == "auto" and not rebuild else precision
        encoder = EchoEncoder.from_config(before.encoder, device=options.device, notice=notice)
        encoder = encoder.with_profile(options.profile) if options.profile else encoder
    else:
        name = DEFAULT_MODEL if options.model is None else options.model
        is_plain = (options.profile, options.adapter, options.document_prompt) == (None, None, None)
        if is_plain and (known := reminding_of(name)):
            notice(f"{name} may be a copy of {known.names[-1]}; if so, add --profile {known.name} for its settings.")
        bundled: Literal["own"] | None = None if options.no_adapter else "own"
        model = load_model(name, adapter=options.adapter or bundled, device=options.device, notice=notice)
        encoder = EchoEncoder(model)
        encoder = encoder.with_profile(options.profile) if options.profile else encoder
        encoder = encoder.with_precision(options.precision or DEFAULTS.precision)
    encoder = encoder.with_options(
        layer=options.layer,
        pooling=options.pooling,
        document_prompt=EchoPrompt(options.document_prompt) if options.document_prompt else None,
        query_prompt=EchoPrompt(options.query_prompt) if options.query_prompt else None,
        instruction=options.instruction,
        max_tokens=max(encoder.max_tokens, chunk_tokens + _PREFIX_TOKENS),
    )
    return encoder if precision is None else encoder.with_precision(precision)


def encoder_from_index(
    model: str | None, *, device: DeviceChoice, notice: Notice
) -> Callable[[dict[str, str | int | None]], EchoEncoder]:
    """Return a function that loads an encoder from its configuration; `model` overrides the path of its model."""

    def load(config: dict[str, str | int | None]) -> EchoEncoder:
        from echo_index.embeddings.encoder import EchoEncoder

        return EchoEncoder.from_config(config, model=model, device=device, notice=notice)

    return load


def choose_chunking(max_tokens: int | None, overlap_tokens: int | None, *, before: BuiltWith | None) -> Chunking:
    """Return the chunking: the sizes that are given, else those of the index, else the defaults."""
    from echo_index.indexer.documents.chunking import Chunking

    base = Chunking(DEFAULTS.chunk_tokens, DEFAULTS.overlap_tokens) if before is None else before.chunking
    return Chunking(
        max_tokens=base.max_tokens if max_tokens is None else max_tokens,
        overlap_tokens=base.overlap_tokens if overlap_tokens is None else overlap_tokens,
    )
