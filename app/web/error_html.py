"""What goes wrong in a callback, told on the page in a sentence and with what mends it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from echo_index.app.web.html import button, notice
from echo_index.errors import EchoIndexError, IndexMissing

P = ParamSpec("P")

NO_INDEX = notice(
    "Nothing is indexed yet.",
    remedy="Add a folder or some files, and build the index: then everything in them can be found.",
    kind="empty",
    actions=f'<p class="actions">{button("Go to the Library", "tab", name="Library")}</p>',
)


def show_errors(callback: Callable[P, str]) -> Callable[P, str]:
    """Return the callback, its errors shown in the place of its HTML."""

    @wraps(callback)
    def telling(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return callback(*args, **kwargs)
        except EchoIndexError as error:
            return error_html(error)

    return telling


def error_html(error: EchoIndexError) -> str:
    """Return the HTML that tells of an error."""
    if isinstance(error, IndexMissing):
        return NO_INDEX
    return notice(error.message, remedy=error.remedy, kind="error")
