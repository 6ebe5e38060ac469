"""The package has one import name: modules of the user that are called like our folders do no harm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from example_documents import pdf_file
from repository import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with documents, and with modules of the user's own that must not be imported."""
    for name in ("app/__init__.py", "retriever.py", "indexer.py", "echo_embeddings/__init__.py", "adapters.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise SystemExit('This is the module of the user.')\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/moon.pdf").write_bytes(pdf_file(["The moon is far away."]))
    return tmp_path


def run(folder: Path, *words: str) -> str:
    """Return what a program prints that runs in the folder, with the folder first in its import path."""
    ended = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_build_and_its_reading_process_ignore_modules_of_the_user(folder: Path, tiny_folder: Path) -> None:
    run(folder, "-m", "echo_index", "build", "notes", "--model", str(tiny_folder), "--precision", "fp32")
    assert "moon.pdf" in run(folder, "-m", "echo_index", "search", "moon", "--mode", "lexical")


def test_the_public_names_ignore_modules_of_the_user(folder: Path) -> None:
    code = "from echo_index import EchoRetriever, EchoEncoder, index_documents; print(EchoRetriever.__module__)"
    assert run(folder, "-c", code) == "echo_index.retriever.rag.adapters\n"


def test_every_file_that_is_no_module_is_packaged() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared = tomllib.load(file)["tool"]["setuptools"]["package-data"]
    packages = {package: ROOT / "src" / package.replace(".", "/") for package in declared}
    packaged = {file for package, place in packages.items() for glob in declared[package] for file in place.glob(glob)}
    rooms = [place for place in (ROOT / "src/echo_index").iterdir() if place.is_dir() and place.name != "__pycache__"]
    present = {
        place / file.relative_to(place)
        for place in [*rooms, ROOT / "src/echo_index"]
        for file in place.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert present - packaged == set()
    assert len(packaged) > 8
