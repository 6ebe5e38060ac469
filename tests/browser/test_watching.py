"""The watch over pages: every action of a hostile document fails a test."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, BrowserContext

from .conftest import Visit, forget
from .serving import Site, Watch, set_trap

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


def test_a_context_is_watched_for_one_test_after_the_other(browser: Browser) -> None:
    context = browser.new_context()
    set_trap(context)
    first, second = Watch(_ORIGIN), Watch(_ORIGIN)
    first.begin(context)
    first.end(context)
    second.begin(context)
    page = context.new_page()
    body = "<body><script>window.__hacked = 1</script><img src='http://127.0.0.1:2/picture.png'></body>"
    page.route(f"{_ORIGIN}/", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(f"{_ORIGIN}/")
    page.wait_for_timeout(300)
    context.close()
    first.check()
    assert any("HACKED" in happened for happened in second.happened)
    assert any("picture.png" in happened for happened in second.happened)


def test_what_a_test_has_stored_is_gone_in_the_next_one(
    visit: Visit, site: Site, common_context: BrowserContext
) -> None:
    page = visit(site)
    page.evaluate("() => { localStorage.setItem('a', '1'); document.cookie = 'b=2'; }")
    stored = "() => [localStorage.getItem('a'), document.cookie]"
    assert page.evaluate(stored) == ["1", "b=2"]
    forget(page, site)
    assert page.is_closed()
    again = common_context.new_page()
    again.goto(f"{site.url}/healthz")
    assert again.evaluate(stored) == [None, ""]
    again.close()
