"""The command line. Parses and prints; the work is done elsewhere."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from app import output
from app.settings import DEFAULTS

if TYPE_CHECKING:
    from indexer import Where
    from retriever import EchoChatModel, Retriever

app = typer.Typer(
    name="echo-index",
    help="Search your own documents, and ask them questions, with echo embeddings. "
    "Nothing leaves this machine, except with ask --llm.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False, markup=False)

IndexDir = Annotated[Path, typer.Option("--index", help="The folder of the index.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelDevice = Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the model runs.")]
SearchDevice = Annotated[Literal["auto", "cpu", "gpu"], typer.Option("--index-device", help="Where FAISS searches.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="An embedded model's name, a folder, a GGUF file or a hub id. Default: the index's own, or gemma3-270m.",
    ),
]
SearchMode = Annotated[
    Literal["hybrid", "dense", "lexical"], typer.Option(help="By meaning (dense), by words (lexical), or both.")
]
Instruction = Annotated[str | None, typer.Option(help="The task in words, such as 'Find code that does this.'")]
Paths = Annotated[list[str], typer.Option("--path", help="Only documents whose path matches this glob. Repeatable.")]
Rerank = Annotated[
    int, typer.Option(min=0, help="Reorder the best so many by how likely each makes the question; slower.")
]
Formats = Annotated[list[str], typer.Option("--format", help="Only this format: markdown, pdf … Repeatable.")]


@app.command()
def build(
    sources: Annotated[
        list[str],
        typer.Argument(help="Folders, files or globs. Default: those of earlier builds.", metavar="[SOURCE]..."),
    ] = [],  # noqa: B006
    index: IndexDir = DEFAULTS.index_dir,
    model: ModelName = None,
    adapter: Annotated[Path | None, typer.Option(help="A LoRA adapter's folder.")] = None,
    layer: Annotated[
        str | None, typer.Option(help="The layer to read, such as 16; or views of both copies: echo:16+0.5*text:13.")
    ] = None,
    pooling: Annotated[
        Literal["mean", "last"] | None, typer.Option(help="How the second copy becomes one vector.")
    ] = None,
    document_prompt: Annotated[str | None, typer.Option(help="A template with {text} and {echo}.")] = None,
    query_prompt: Annotated[str | None, typer.Option(help="A template, {instruction} too.")] = None,
    chunk_tokens: Annotated[
        int | None, typer.Option(min=16, help="The most tokens of a passage. Default: 200.")
    ] = None,
    overlap_tokens: Annotated[
        int | None, typer.Option(min=0, help="Tokens two passages have in common. Default: 30.")
    ] = None,
    include: Annotated[list[str], typer.Option(help="Only files that match, as in .gitignore. Repeatable.")] = [],  # noqa: B006
    exclude: Annotated[list[str], typer.Option(help="No files that match, as in .gitignore. Repeatable.")] = [],  # noqa: B006
    profile: Annotated[
        Path | None, typer.Option(help="A file that echo-index calibrate wrote: model, layer, prompts, pooling.")
    ] = None,
    rebuild: Annotated[bool, typer.Option(help="Start anew; the old index serves until the new one is done.")] = False,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"] | None,
        typer.Option(help="Of the matrix products. Default: auto, int8 where it is fast and nearly as good."),
    ] = None,
    device: ModelDevice = "auto",
    json: AsJson = False,
) -> None:
    """Bring the index up to date with folders, files or globs. Only what is new or changed is embedded."""
    from dataclasses import asdict

    from app.opening import EncoderOptions, choose_chunking, choose_sources, open_encoder
    from app.profile_file import with_profile
    from app.progress import WorkProgress
    from indexer import build_index, read_built_with

    chosen = choose_sources(sources, index, notice=_notice)
    if not chosen:
        raise typer.BadParameter(f"no source of an index in {index} is known yet; name one.", param_hint="SOURCE")
    before = read_built_with(index)
    chunking = choose_chunking(chunk_tokens, overlap_tokens, before=before)
    options = EncoderOptions(model, adapter, layer, pooling, document_prompt, query_prompt, precision, device)
    if profile is not None:
        options = with_profile(options, profile)
    encoder = open_encoder(options, before=before, chunk_tokens=chunking.max_tokens, notice=_notice)
    try:
        with WorkProgress(err) as progress:
            report = build_index(
                chosen,
                index,
                encoder=encoder,
                chunking=chunking,
                include=include,
                exclude=exclude,
                rebuild=rebuild,
                progress=progress.show_stage,
            )
    except KeyboardInterrupt:
        _notice("Stopped. What was embedded is kept; run the same command again to go on from here.")
        raise typer.Exit(130) from None
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_report(out, report)
    if not report.documents and not report.left_out:
        raise typer.Exit(1)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    index: IndexDir = DEFAULTS.index_dir,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages.")] = DEFAULTS.results,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    rerank: Rerank = 0,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    json: AsJson = False,
) -> None:
    """Find the passages that fit a question, best first."""
    retriever = _open(index, model, device, index_device)
    where = _where(path, format)
    hits = retriever.search(query, k=k, mode=mode, instruction=instruction, where=where, rerank=rerank, group=True)
    if json:
        output.print_json(out, [output.hit_fields(hit) for hit in hits])
    else:
        output.print_hits(out, hits)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="The question.")],
    index: IndexDir = DEFAULTS.index_dir,
    k: Annotated[int, typer.Option("-k", min=1, help="How many passages the model is given.")] = DEFAULTS.passages,
    mode: SearchMode = "hybrid",
    instruction: Instruction = None,
    path: Paths = [],  # noqa: B006
    format: Formats = [],  # noqa: B006
    rerank: Rerank = 0,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
    llm: Annotated[
        str | None,
        typer.Option(help="Another model writes the answer: openai:MODEL, ollama:MODEL or an OpenAI-compatible URL."),
    ] = None,
    json: AsJson = False,
) -> None:
    """Answer a question from the passages that are found, with citations."""
    from contextlib import nullcontext

    from app.llm import explained, open_llm, shown, untraced
    from retriever import stream_answer

    other = None if llm is None else open_llm(llm)
    retriever = _open(index, model, device, index_device)
    if llm is not None:
        _notice(f"The question and the passages that are found are sent to {shown(llm)}.")
    where = _where(path, format)
    hits = retriever.search(question, k=k, mode=mode, instruction=instruction, where=where, rerank=rerank, group=True)
    with nullcontext() if llm is None else explained(llm), untraced():
        stream = stream_answer(question, hits, model=other or _own_writer(retriever))
        if json:
            output.print_json(out, output.answer_fields(stream.answer))
        else:
            output.print_answer(out, stream)


@app.command()
def serve(
    index: IndexDir = DEFAULTS.index_dir,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 lets other machines in.")
    ] = DEFAULTS.host,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = DEFAULTS.port,
    auth: Annotated[
        str | None,
        typer.Option(help="Ask for a name and password: a file with NAME:PASSWORD lines, or env (ECHO_INDEX_AUTH)."),
    ] = None,
    llm: Annotated[
        list[str], typer.Option(help="Another model that may write the answers, as for ask. Repeatable.")
    ] = [],  # noqa: B006
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Let assistants search: an MCP server at /gradio_api/mcp/.")
    ] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nobody adds or removes documents.")] = False,
    upload_megabytes: Annotated[
        int, typer.Option(min=1, help="The largest file that may be uploaded.")
    ] = DEFAULTS.upload_megabytes,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    model: ModelName = None,
) -> None:
    """Open the web page: search, ask, compare, explore, and manage the documents."""
    from app.access import open_gate
    from app.service import ServiceOptions
    from app.ui.server import ServerOptions
    from app.ui.server import serve as listen

    listen(
        ServiceOptions(index, model=model, device=device, index_device=index_device, llms=tuple(llm)),
        ServerOptions(
            host=host,
            port=port,
            gate=None if auth is None else open_gate(auth),
            mcp=mcp,
            read_only=read_only,
            upload_megabytes=upload_megabytes,
        ),
        notice=_notice,
    )


@app.command()
def status(
    index: IndexDir = DEFAULTS.index_dir,
    device: ModelDevice = "auto",
    index_device: SearchDevice = "auto",
    json: AsJson = False,
) -> None:
    """Tell what is indexed, with which model, how large it is, what could not be read and why."""
    from app.status import read_status, status_lines

    found = read_status(index, device=device, index_device=index_device, notice=_notice)
    if json:
        output.print_json(out, found)
        return
    for name, value in status_lines(found):
        out.print(Text.assemble((f"{name:<14}", "bold"), output.plain(value)), soft_wrap=True)
    output.print_failures(out, found["failures"])


@app.command("eval")
def evaluate(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            help="Folders in BEIR's layout, files with pairs of sentences, or with questions about the index.",
            metavar="INPUT...",
        ),
    ],
    index: IndexDir = DEFAULTS.index_dir,
    rows: Annotated[
        str | None,
        typer.Option(
            help="Ways to rank, such as bm25,echo,hybrid. Default: all but the slow ones.", metavar="ROW,ROW…"
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The row that the others are compared with. Default: bm25.", metavar="ROW")
    ] = None,
    queries: Annotated[int | None, typer.Option(min=1, help="Only the first N questions or pairs.")] = None,
    instruction: Instruction = None,
    sentence_transformers: Annotated[
        list[str], typer.Option(help="A model of sentence-transformers as a further row. Repeatable.", metavar="NAME")
    ] = [],  # noqa: B006
    model: ModelName = None,
    adapter: Annotated[Path | None, typer.Option(help="A LoRA adapter's folder.")] = None,
    layer: Annotated[str | None, typer.Option(help="The layer to read, or views of both copies, as for build.")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"] | None, typer.Option(help="Of the matrix products, as for build.")
    ] = None,
    device: ModelDevice = "auto",
    work: Annotated[
        Path | None,
        typer.Option(help="Where indexes and vectors are kept. Default: the cache folder."),
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all that was measured to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the scores: a name that ends in .svg or .png.")] = None,
) -> None:
    """Measure how good the search is, on public sets or by questions of your own."""
    from app.evaluating import EvaluationOptions
    from app.evaluation_command import EvaluationFiles, run_evaluation
    from app.opening import EncoderOptions

    options = EvaluationOptions(
        encoder=EncoderOptions(model=model, adapter=adapter, layer=layer, precision=precision, device=device),
        index=index,
        rows=tuple(rows.split(",")) if rows else (),
        baseline=baseline,
        most=queries,
        instruction=instruction,
        peers=tuple(sentence_transformers),
        work=work,
    )
    run_evaluation(inputs, options, EvaluationFiles(json, markdown, plot), out=out, err=err)


@app.command()
def calibrate(
    index: IndexDir = DEFAULTS.index_dir,
    profile: Annotated[Path, typer.Option("--out", help="The file to write.")] = Path("profile.toml"),
    questions: Annotated[int, typer.Option(min=20, help="The most questions that are made of passages.")] = 300,
    model: ModelName = None,
    adapter: Annotated[Path | None, typer.Option(help="A LoRA adapter's folder.")] = None,
    document_prompt: Annotated[
        str | None, typer.Option(help="One more template to try, with {text} and {echo}.")
    ] = None,
    query_prompt: Annotated[str | None, typer.Option(help="Its counterpart for questions, {instruction} too.")] = None,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"] | None, typer.Option(help="Of the matrix products, as for build.")
    ] = None,
    device: ModelDevice = "auto",
) -> None:
    """Find the layer, prompt and pooling with which a model finds most in an index, without labels."""
    from app.calibrating import calibrate_index
    from app.opening import EncoderOptions

    tried = None if document_prompt is None and query_prompt is None else (document_prompt, query_prompt)
    options = EncoderOptions(model=model, adapter=adapter, precision=precision, device=device)
    try:
        calibrate_index(
            index, options, questions=questions, tried=tried, file=profile, out=out, err=err, notice=_notice
        )
    except KeyboardInterrupt:
        _notice("Stopped. The prompts that were read are kept; run the same command again to go on from here.")
        raise typer.Exit(130) from None


@app.command()
def verify(
    index: IndexDir = DEFAULTS.index_dir,
    repair: Annotated[bool, typer.Option("--repair", help="Make anew what is derived and damaged.")] = False,
    without_model: Annotated[bool, typer.Option("--without-model", help="Leave the model out; it is faster.")] = False,
    model: ModelName = None,
    device: ModelDevice = "auto",
    json: AsJson = False,
) -> None:
    """Check every file, count, hash and vector of the index against each other, and the model against the index."""
    from dataclasses import asdict

    from app.opening import described_encoder
    from indexer import verify_index

    load = None if without_model else described_encoder(model, device=device, notice=_notice)
    checks = verify_index(index, load_encoder=load, repair=repair)
    if json:
        output.print_json(out, [asdict(check) for check in checks])
    else:
        output.print_checks(out, checks, repaired=repair)
    if any(check.problems and not check.mended for check in checks):
        raise typer.Exit(1)


@app.command()
def remove(
    paths: Annotated[
        list[str], typer.Argument(help="Files, names as search shows them, or globs over these.", metavar="PATH...")
    ],
    index: IndexDir = DEFAULTS.index_dir,
    json: AsJson = False,
) -> None:
    """Take documents out of the index; builds leave them out from now on. The files themselves stay."""
    from dataclasses import asdict

    from app.removal import chosen_documents
    from indexer import list_documents, open_snapshot, remove_documents

    snapshot = open_snapshot(index, index_device="cpu", notice=_notice)
    held = [document.path for document in list_documents(snapshot)]
    report = remove_documents(chosen_documents(paths, held, index), index)
    if json:
        output.print_json(out, asdict(report))
    else:
        output.print_removal(out, report)


def _open(
    index: Path,
    model: str | None,
    device: Literal["auto", "cpu", "cuda"],
    index_device: Literal["auto", "cpu", "gpu"],
) -> Retriever:
    from retriever import Retriever

    return Retriever.open(index, model=model, device=device, index_device=index_device, notice=_notice)


def _own_writer(retriever: Retriever) -> EchoChatModel:
    from retriever import EchoChatModel

    return EchoChatModel(language_model=retriever.encoder.model, max_tokens=DEFAULTS.answer_tokens)


def _where(paths: list[str], formats: list[str]) -> Where:
    from indexer import Where

    return Where(paths=tuple(paths), formats=tuple(formats))


def _notice(line: str) -> None:
    err.print(line, style="dim", soft_wrap=True)


def main() -> None:
    """Run the command line; errors that are ours end in one sentence and exit code 1, wrong usage in 2."""
    from echo_embeddings.errors import EchoIndexError

    try:
        app()
    except EchoIndexError as error:
        err.print(Text.assemble(("Error: ", "bold red"), output.plain(str(error))), soft_wrap=True)
        sys.exit(1)
    finally:
        gc.freeze()  # all goes with the process: to look through it for garbage would take a quarter of a second


if __name__ == "__main__":
    main()
