"""Run the code of the documentation, and check its links, its questions and its list of options."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import running
from evaluation_files import write_beir
from repository import ROOT

from echo_index.app.api.application import make_api
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.search.retriever import Retriever

PAGES = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


SERVER = "http://127.0.0.1:7860"


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def run_python_blocks(
    page: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    server: str = SERVER,
) -> str:
    """Run the Python blocks of a page from top to bottom in `folder`, and return what they print."""
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for code in blocks(page, "python"):
        exec(compile(code.replace(SERVER, server), page, "exec"), names)
    return capsys.readouterr().out


@pytest.mark.model
def test_the_python_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = run_python_blocks("docs/python.md", tmp_path, monkeypatch, capsys)
    assert "(2, 640) float32" in printed
    assert "notes/trains.md 1 ('Trains',)" in printed
    assert "Purring 0.9" in printed
    assert "prompts.jsonl (UsedPrompt(task='Purring'" in printed
    assert "content" in printed.splitlines()[-1]
    assert "notes/cats.md" in printed.splitlines()[-1]


@pytest.mark.model
def test_the_langchain_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run_python_blocks("docs/langchain.md", tmp_path, monkeypatch, capsys).splitlines()
    assert lines[:4] == ["trains", "notes/trains.md 1 ['Trains']", "['Trains']", "Paris"]
    assert re.fullmatch(r"Paris-?\d+", lines[4]), "a streamed text, then an integer, whatever the model believes"
    assert "content" in lines[5]
    assert "True ['notes/cats.md'] 0" in lines[5]
    assert lines[6] == "When do cats purr? And when else?"


@pytest.mark.model
def test_the_evaluation_page_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_beir(tmp_path / "small")
    lines = run_python_blocks("docs/evaluation.md", tmp_path, monkeypatch, capsys).splitlines()
    assert [line.split()[0] for line in lines] == ["bm25", "echo", "backwards"]
    assert lines[0] == "bm25 100.0 None"


@pytest.mark.model
def test_the_script_of_fifteen_lines_answers_from_the_guide(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("ask_the_guide.py", "troubleshooting.md"):  # all pages would take minutes
        shutil.copy(ROOT / "docs" / name, docs)
    page = (ROOT / "docs/documents.md").read_text(encoding="utf-8")
    [passages] = re.findall(r"^## Passages\n.*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    (docs / "documents.md").write_text(f"# Documents\n\n{passages}", encoding="utf-8")
    script = docs / "ask_the_guide.py"
    assert len(script.read_text(encoding="utf-8").splitlines()) <= 15
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    answer, *cited = run.stdout.splitlines()
    assert "200" in answer
    assert cited
    assert all(re.fullmatch(r"\[\d\] docs/[a-z-]+\.md:\d+", line) for line in cited)


@pytest.fixture
def programs_server(tiny_model: LanguageModel, tmp_path: Path) -> Iterator[str]:
    """Serve programs an index of two notes; yield the address."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/cats.md").write_text("# Cats\n\nCats purr when they are content.\n")
    (tmp_path / "notes/trains.md").write_text("# Trains\n\nThe train to the coast leaves at noon.\n")
    build_index([Source.parse(str(tmp_path / "notes"))], tmp_path / "index", encoder=EchoEncoder(tiny_model))
    service = IndexService(ServiceOptions(tmp_path / "index", device="cpu", index_device="cpu"))
    with running(make_api(service, hosts=None)) as address:
        yield address


def test_the_python_blocks_of_the_page_for_programs_run(
    programs_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run_python_blocks("docs/api.md", tmp_path, monkeypatch, capsys, server=programs_server).splitlines()
    assert (lines[0], lines[1]) == ("2 32", "1")
    assert lines[2].endswith("[]"), "the tiny model says nothing that it could cite"


@pytest.mark.model
def test_the_python_blocks_of_the_page_on_milvus_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pymilvus", reason="stores need pymilvus")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/cats.md").write_text("# Cats\n\nCats purr when they are content.\n")
    (tmp_path / "notes/trains.md").write_text("# Trains\n\nThe train to the coast leaves at noon.\n")
    lines = run_python_blocks("docs/milvus.md", tmp_path, monkeypatch, capsys).splitlines()
    assert lines == ["notes/cats.md", "notes/cats.md"]


def test_the_blocks_of_the_page_on_parquet_find_what_a_search_finds(
    tiny_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow", reason="exports and imports need pyarrow")
    text = "\n\n".join(f"Cat number {n} purrs at {n} o'clock, when it is content." for n in range(400))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/cats.md").write_text(f"# Cats\n\n{text}\n")
    encoder = EchoEncoder(tiny_model)
    build_index([Source.parse(str(tmp_path / "notes"))], tmp_path / "notes/.echo-index", encoder=encoder)
    best, copied = run_python_blocks("docs/parquet.md", tmp_path, monkeypatch, capsys).splitlines()
    retriever = Retriever.open(tmp_path / "copy/.echo-index", encoder=encoder)
    [nearest] = [
        hit.dense.score
        for hit in retriever.search("Why do cats purr?", k=9, mode="dense")
        if hit.dense and hit.dense.rank == 1
    ]
    assert best.split()[0] == "cats.md" and float(best.split()[1]) == pytest.approx(nearest, abs=1e-5)
    assert copied.split()[0] == "1" and int(copied.split()[1]) > 16, "there is a normalization"
    if importlib.util.find_spec("duckdb"):
        import duckdb

        [query] = blocks("docs/parquet.md", "sql")
        monkeypatch.chdir(tmp_path)
        assert len(duckdb.execute(query).fetchall()) == 5


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_for_programs_run(programs_server: str) -> None:
    text = "".join(blocks("docs/api.md", "sh")).replace("\\\n", " ").replace(SERVER, programs_server)
    bodies = []
    for command in text.strip().splitlines():
        shown = subprocess.run(["sh", "-c", f"{command} --silent --fail-with-body"], capture_output=True, check=True)
        bodies.append(json.loads(shown.stdout))
    embedded, reranked, by_address, by_json, documents = bodies
    assert len(embedded["data"]) == 2
    assert len(reranked["results"]) == 1
    assert len(by_address["hits"]) == len(by_json["hits"]) == documents["total"] == 2


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings: lower case, hyphens for spaces, without punctuation."""
    titles = HEADING.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*TEXTS, *PAGES], ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for file, anchor in re.findall(r"\]\(([^)#:]*)#?([^):]*)\)", page.read_text(encoding="utf-8")):
        target = page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_of_the_guide_but_the_glossary_has_a_question() -> None:
    lines = (ROOT / "data/guide_questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    assert len(questions) >= 40
    pages = {f"docs/{page.name}" for page in PAGES} - {"docs/glossary.md"}  # it only repeats what other pages explain
    assert {question["page"] for question in questions} == pages


def test_the_pre_commit_hook_runs_the_pinned_ruff() -> None:
    [pinned] = re.findall(r"^ruff==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert f"rev: v{pinned}\n" in (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")


def test_every_option_of_the_command_line_is_documented() -> None:
    from typer.main import get_command

    from echo_index.app.cli.main import app

    page = (ROOT / "docs/command-line.md").read_text(encoding="utf-8")
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"echo-index {name}" in page
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-") and option != "--help":
                    assert f"`{option}" in page, f"{name} {option}"
