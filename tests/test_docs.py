"""What the documentation shows is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.model
def test_the_python_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.DOTALL):
        exec(compile(code, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "(2, 640) float32" in printed
    assert "notes/trains.md 1 ('Trains',)" in printed
    assert "content" in printed.splitlines()[-1]
    assert "notes/cats.md" in printed.splitlines()[-1]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_every_question_about_the_guide_names_a_page_that_exists() -> None:
    import json

    lines = (ROOT / "data/guide_questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    assert len(questions) >= 40
    assert {question["page"] for question in questions} == {f"docs/{page.name}" for page in PAGES}


def test_every_option_of_the_command_line_is_documented() -> None:
    from typer.main import get_command

    from app.cli import app

    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"echo-index {name}" in page
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-") and option != "--help":
                    assert f"`{option}" in page, f"{name} {option}"
