"""Show errors of callbacks on the page, as a sentence with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from echo_index.app.web.html import button, escape_html, notice
from echo_index.errors import ConditionError, EchoIndexError, IndexMissing

P = ParamSpec("P")

NO_INDEX = notice(
    "Nothing is indexed yet.",
    remedy="Add a folder or some files and build the index to search them.",
    kind="empty",
    actions=f'<p class="actions">{button("Go to the Library", "tab", name="Library")}</p>',
)


def show_errors(callback: Callable[P, str]) -> Callable[P, str]:
    """Decorate a callback to return the HTML of its EchoIndexError instead of raising it."""

    @wraps(callback)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> str:
        try:
            return callback(*args, **kwargs)
        except EchoIndexError as error:
            return error_html(error)

    return wrapper


def error_html(error: EchoIndexError) -> str:
    """Return an error as HTML."""
    if isinstance(error, IndexMissing):
        if not error.collection:
            return NO_INDEX
        return notice(error.message, remedy=f"{error.remedy}, or choose other collections.", kind="error")
    place = f"<pre>{escape_html(error.excerpt)}</pre>" if isinstance(error, ConditionError) else ""
    return notice(error.message, remedy=error.remedy, kind="error", actions=place)
