"""The watch over pages: every action of a hostile document fails a test."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from .serving import Watch

_ORIGIN = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<script>window.__hacked = 1</script>", "HACKED"),
        ("<img src=x onerror='window.__hacked = 1'>", "HACKED"),
        ("<script>alert('boo')</script>", "dialog: boo"),
        ("<script>throw new Error('broken')</script>", "error: "),
        ("<img src='http://127.0.0.1:2/picture.png'>", "request: http://127.0.0.1:2/picture.png"),
        ("<script>new WebSocket('ws://127.0.0.1:2/')</script>", "socket: ws://127.0.0.1:2/"),
        ("<script>fetch('http://127.0.0.1:2/')</script>", "request: http://127.0.0.1:2/"),
    ],
)
def test_forbidden_actions_of_a_page_are_detected(browser: Browser, content: str, message: str) -> None:
    context = browser.new_context()
    watch = Watch(_ORIGIN)
    watch.over(context)
    page = context.new_page()
    page.route(f"{_ORIGIN}/", lambda route: route.fulfill(body=f"<body>{content}</body>", content_type="text/html"))
    page.goto(f"{_ORIGIN}/")
    page.wait_for_timeout(300)
    context.close()
    with pytest.raises(AssertionError, match=message):
        watch.check()


def test_a_harmless_page_passes(browser: Browser) -> None:
    context = browser.new_context()
    watch = Watch(_ORIGIN)
    watch.over(context)
    page = context.new_page()
    page.route(f"{_ORIGIN}/", lambda route: route.fulfill(body="<p>script</p>", content_type="text/html"))
    page.goto(f"{_ORIGIN}/")
    page.wait_for_timeout(300)
    context.close()
    watch.check()
