"""Readers of other packages: the example of the guide, as a package would bring it, and packages that are broken."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from indexer_helpers import build, documents
from repository import ROOT

from echo_index.errors import SourceError
from echo_index.indexer.documents.formats import has_reader, parse_document, readers_version
from echo_index.indexer.documents.plugins import GROUP, installed_plugins

CALENDAR = (
    b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Choir of the \r\n harbour\r\n"
    b"DTSTART;TZID=Europe/Oslo:20260301T190000\r\nLOCATION:North hall\r\nEND:VEVENT\r\n"
    b"BEGIN:VEVENT\r\nSUMMARY:Regatta\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a package `calendar-reader` with this code and this `pyproject.toml`."""
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)
    installed_plugins.cache_clear()

    def write_package(code: str, project: str) -> None:
        [group] = re.findall(r'\[project\.entry-points\."(.+)"\]', project)
        [(name, module)] = re.findall(r'^(\w+) = "(.+)"$', project, re.MULTILINE)
        (packages / "calendar_reader.py").write_text(code)
        information = packages / "calendar_reader-1.5.dist-info"
        information.mkdir()
        (information / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}\n")
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: calendar-reader\nVersion: 1.5\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        importlib.invalidate_caches()
        installed_plugins.cache_clear()

    yield write_package
    installed_plugins.cache_clear()


def example() -> tuple[str, str]:
    """Return the code and the settings that the guide shows."""
    page = (ROOT / "docs/readers.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [project] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    return code, project


def test_the_example_of_the_guide_reads_calendars_in_a_build(tmp_path: Path, install: Install) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "choir.ics").write_bytes(CALENDAR)
    (folder / "sounds.key").write_bytes(b"\0\1\2")
    install(*example())
    report = build(folder, tmp_path / "index")
    assert (report.documents, report.failures, report.skipped.unsupported) == (1, [], {".key": 1})
    assert documents(tmp_path / "index")["docs/choir.ics"] == [
        "Choir of the harbour\nBegin: 20260301T190000\nPlace: North hall\n\nRegatta"
    ]
    document = parse_document(CALENDAR, Path("choir.ics"))
    assert (document.format, document.title, document.place(0)) == ("calendar", "choir", "event 1")
    assert document.place(document.text.index("Regatta")) == "event 2"


def test_a_reader_that_is_installed_later_reads_files_again(tmp_path: Path, install: Install) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "choir.ics").write_bytes(CALENDAR)
    build(folder, tmp_path / "index")
    before = documents(tmp_path / "index")["docs/choir.ics"]
    assert "BEGIN:VCALENDAR" in before[0], "it is text without the reader"
    install(*example())
    assert "calendar 1.5" in readers_version()
    report = build(folder, tmp_path / "index")
    assert (report.read_again, report.changed) == (True, 1)
    [after] = documents(tmp_path / "index")["docs/choir.ics"]
    assert "BEGIN" not in after


def test_a_reader_comes_before_our_own(install: Install) -> None:
    code, project = example()
    install(code.replace('".ics"', '".md"'), project)
    assert parse_document(CALENDAR, Path("choir.md")).format == "calendar"
    assert has_reader("a.md")
    assert not has_reader("a.ics")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import no_such_package", "cannot be loaded: No module named 'no_such_package'"),
        ("raise RuntimeError('too old')", "cannot be loaded: too old"),
        ("def accepts(file_name): return True", "has no functions accepts and read"),
    ],
)
def test_a_broken_package_is_named(tmp_path: Path, install: Install, code: str, message: str) -> None:
    install(code, f'[project.entry-points."{GROUP}"]\nbroken = "calendar_reader"')
    (tmp_path / "a.md").write_text("Text.")
    with pytest.raises(SourceError, match=f"The reader 'broken' of the package calendar-reader {message}") as caught:
        build(tmp_path / "a.md", tmp_path / "index")
    assert caught.value.remedy == "Update the package, or remove it: pip uninstall calendar-reader"
