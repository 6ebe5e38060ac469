"""The command `echo-index` and its subcommands."""

from __future__ import annotations

import gc
import sys

import typer
from rich.text import Text

from echo_index.app.cli import output
from echo_index.app.cli.build import build
from echo_index.app.cli.collections import collections
from echo_index.app.cli.documents import remove, status, verify
from echo_index.app.cli.evaluate import calibrate, evaluate
from echo_index.app.cli.exchange import export, import_
from echo_index.app.cli.mcp import mcp
from echo_index.app.cli.options import err
from echo_index.app.cli.question_command import QuestionCommand
from echo_index.app.cli.read import read
from echo_index.app.cli.search import ask, search
from echo_index.app.cli.serve import serve
from echo_index.app.cli.tune import tune, tune_answers

app = typer.Typer(
    name="echo-index",
    help="Search your own documents and ask questions about them, with echo embeddings. "
    "Your data stays on this machine, unless you choose another model with --llm.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(build)
app.command(cls=QuestionCommand)(search)
app.command(cls=QuestionCommand)(ask)
app.command()(read)
app.command()(serve)
app.command()(mcp)
app.command()(status)
app.command("eval")(evaluate)
app.command()(calibrate)
app.command()(tune)
app.command("tune-answers")(tune_answers)
app.command()(verify)
app.command()(remove)
app.command()(export)
app.command("import")(import_)
app.add_typer(collections, name="collections")


def main() -> None:
    """Run the command line. An EchoIndexError is printed as one sentence, with exit code 1."""
    from echo_index.errors import EchoIndexError

    try:
        app()
    except EchoIndexError as error:
        err.print(Text.assemble(("Error: ", "bold red"), output.strip_controls(str(error))), soft_wrap=True)
        sys.exit(1)
    finally:
        gc.freeze()  # a final garbage collection would take a quarter of a second
