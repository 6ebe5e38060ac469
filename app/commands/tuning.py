"""A model becomes better at what it is to find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.options import ModelDevice, ModelName, err, notice, out


def tune(
    pairs: Annotated[
        list[Path],
        typer.Option(help="A file of pairs, .jsonl or .tsv, may be .gz: query, positive, negative. Repeatable."),
    ] = [],  # noqa: B006
    from_index: Annotated[
        Path | None, typer.Option(help="An index: its headings and sentences ask for its passages.", metavar="INDEX")
    ] = None,
    folder: Annotated[Path, typer.Option("--out", help="The folder of the adapter.")] = Path("adapter"),
    model: ModelName = None,
    profile: Annotated[Path | None, typer.Option(help="A file that echo-index calibrate wrote.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer to read, or views of both copies, as for build.")] = None,
    document_prompt: Annotated[str | None, typer.Option(help="A template with {text} and {echo}.")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="A template, {instruction} too.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many batches are learned from.")] = 500,
    batch: Annotated[
        int, typer.Option(min=2, help="Pairs that are told apart at a time; memory does not limit it.")
    ] = 64,
    max_tokens: Annotated[int, typer.Option(min=8, help="The most tokens of each text.")] = 64,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Of AdamW, at its highest.")] = 5e-4,
    temperature: Annotated[float, typer.Option(min=1e-3, help="Of the softmax over cosines.")] = 0.05,
    rank: Annotated[int, typer.Option(min=1, help="Of the matrices that are added.")] = 16,
    first_layer: Annotated[int, typer.Option(min=1, help="Layers before it stay as they are: faster.")] = 1,
    dimensions: Annotated[
        str | None, typer.Option(help="Shorter lengths at which vectors are to be good too.", metavar="N,N…")
    ] = None,
    hard_negatives: Annotated[
        int, typer.Option(min=0, help="Look up so many for each pair with the model as it is; slow.")
    ] = 0,
    teacher: Annotated[
        str | None, typer.Option(help="A sentence-transformers model whose cosines are learned too.", metavar="NAME")
    ] = None,
    teacher_share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the loss.")] = 0.5,
    most_pairs: Annotated[int | None, typer.Option(min=1, help="The most pairs of each source.")] = None,
    held_out: Annotated[int, typer.Option(min=0, help="Pairs that are only measured on.")] = 200,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Steps between two measurements.")] = 50,
    patience: Annotated[int, typer.Option(min=1, help="End after so many without a better score.")] = 5,
    seed: Annotated[int, typer.Option(help="Another one, another order of pairs.")] = 0,
    device: ModelDevice = "auto",
) -> None:
    """Train a LoRA adapter on pairs of queries and what is right for them. Goes on where it was interrupted."""
    from app.opening import EncoderOptions
    from app.profile_file import with_profile
    from app.tuning import TuningSources, tune_model
    from echo_embeddings import TuningOptions

    encoder = EncoderOptions(
        model=model, layer=layer, document_prompt=document_prompt, query_prompt=query_prompt, precision="fp32",
        device=device,
    )  # fmt: skip
    if profile is not None:
        encoder = with_profile(encoder, profile)
    options = TuningOptions(
        steps=steps,
        batch=batch,
        learning_rate=learning_rate,
        temperature=temperature,
        rank=rank,
        alpha=2 * rank,
        first_layer=first_layer,
        dimensions=_numbers(dimensions),
        teacher_share=teacher_share if teacher else 0.0,
        held_out=held_out,
        evaluate_every=evaluate_every,
        patience=patience,
        seed=seed,
    )
    sources = TuningSources(
        tuple(pairs), from_index, most_pairs=most_pairs, hard_negatives=hard_negatives, teacher=teacher
    )
    try:
        tune_model(encoder, sources, options, folder, max_tokens=max_tokens, out=out, err=err, notice=notice)
    except KeyboardInterrupt:
        notice("Stopped. What was learned is kept; run the same command again to go on from here.")
        raise typer.Exit(130) from None


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        numbers = tuple(int(part) for part in text.split(",")) if text else ()
    except ValueError:
        numbers = (0,)
    if any(number < 1 for number in numbers):
        raise typer.BadParameter(f"{text!r} is no list of lengths, such as 256,128.", param_hint="--dimensions")
    return numbers
