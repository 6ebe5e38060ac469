"""A command that takes a question: if the question begins with a dash, its error says how to write it."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_UsageError: type[Any] = typer.BadParameter.__bases__[0]  # of Click, which newer versions of Typer carry in themselves


class QuestionCommand(TyperCommand):
    """Reports an unknown option together with how to search for text that begins with a dash."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; the error about an option that does not exist says how to search for it."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            if hasattr(error, "possibilities"):  # only the error about an unknown option suggests others
                error.message = (
                    f"{error.format_message()}. To search for text that begins with a dash, write -- before it: "
                    f"echo-index {self.name} -- {error.option_name}"
                )
                error.possibilities = None
            raise
