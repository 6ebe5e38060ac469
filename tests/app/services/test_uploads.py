"""Uploads: names are made safe, and files that cannot be read are rejected before any is stored."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from indexer_helpers import build

from echo_index.app.services.uploads import safe_name, store_uploads, uploads_folder
from echo_index.errors import DocumentError
from echo_index.indexer.documents.formats import FORMATS

MAX_BYTES = 1000


@pytest.fixture
def given_files(tmp_path: Path) -> Path:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n")
    (folder / "Vow.TXT").write_text("Seven wizards.\n")
    return folder


def test_files_are_stored_under_their_names(tmp_path: Path, given_files: Path) -> None:
    folder = tmp_path / "not/there/yet"
    stored = store_uploads([given_files / "fox.md", given_files / "Vow.TXT"], folder, max_bytes=MAX_BYTES)
    assert stored == [folder / "fox.md", folder / "Vow.TXT"]
    assert stored[0].read_text() == "# The fox\n"
    assert sorted(path.name for path in folder.iterdir()) == ["Vow.TXT", "fox.md"]
    assert (given_files / "fox.md").exists(), "it is copied"


def test_a_file_of_the_same_name_is_replaced(tmp_path: Path, given_files: Path) -> None:
    folder = tmp_path / "uploads"
    store_uploads([given_files / "fox.md"], folder, max_bytes=MAX_BYTES)
    (given_files / "fox.md").write_text("# Another fox\n")
    [stored] = store_uploads([given_files / "fox.md"], folder, max_bytes=MAX_BYTES)
    assert stored.read_text() == "# Another fox\n"
    assert [path.name for path in folder.iterdir()] == ["fox.md"]


def test_two_files_of_the_same_name_are_both_stored(tmp_path: Path, given_files: Path) -> None:
    (given_files / "more").mkdir()
    (given_files / "more/fox.md").write_text("# Another fox\n")
    stored = store_uploads(
        [given_files / "fox.md", given_files / "more/fox.md"], tmp_path / "uploads", max_bytes=MAX_BYTES
    )
    assert sorted(path.read_text() for path in {*stored}) == ["# Another fox\n", "# The fox\n"]


def test_archives_are_accepted_and_keep_their_suffix(tmp_path: Path, given_files: Path) -> None:
    for folder in (given_files, given_files / "more"):
        folder.mkdir(exist_ok=True)
        (folder / "fox.tar.gz").write_bytes(folder.name.encode())
    files = [given_files / "fox.tar.gz", given_files / "more/fox.tar.gz"]
    stored = store_uploads(files, tmp_path / "uploads", max_bytes=MAX_BYTES)
    assert [path.name for path in stored] == ["fox.tar.gz", "fox-2.tar.gz"]


@pytest.mark.parametrize("name", ["setup.exe", "no-suffix", "page.md.gz", ".md"])
def test_an_unsupported_format_is_rejected_and_no_file_is_stored(tmp_path: Path, given_files: Path, name: str) -> None:
    (given_files / name).write_text("x")
    with pytest.raises(DocumentError, match="has a format that cannot be read") as raised:
        store_uploads([given_files / "fox.md", given_files / name], tmp_path / "uploads", max_bytes=MAX_BYTES)
    assert raised.value.message.startswith(name)
    assert raised.value.remedy
    assert not (tmp_path / "uploads").exists()


def test_a_file_that_is_too_large_is_rejected_with_the_limit(tmp_path: Path, given_files: Path) -> None:
    (given_files / "large.txt").write_bytes(b"x" * 2_500_000)
    with pytest.raises(DocumentError, match=r"large\.txt is too large: 2\.5 MB; the limit is 2 MB\."):
        store_uploads([given_files / "fox.md", given_files / "large.txt"], tmp_path / "uploads", max_bytes=2_000_000)
    assert not (tmp_path / "uploads").exists()
    assert store_uploads([given_files / "large.txt"], tmp_path / "uploads", max_bytes=2_500_000)


def test_stored_files_have_a_supported_suffix(tmp_path: Path, given_files: Path) -> None:
    for name in (" .md", "..md", "a.md"):
        (given_files / name).write_text("# A page\n")
        try:
            [stored] = store_uploads([given_files / name], tmp_path / "uploads", max_bytes=MAX_BYTES)
        except DocumentError:
            continue
        assert stored.suffix.lower() in FORMATS, f"{name!r} became {stored.name!r}"


def test_a_long_non_latin_name_is_stored(tmp_path: Path, given_files: Path) -> None:
    name = "灯" * 83 + ".md"  # 252 bytes, about the limit of a file system
    (given_files / name).write_text("# A page\n")
    [stored] = store_uploads([given_files / name], tmp_path / "uploads", max_bytes=MAX_BYTES)
    assert stored.read_text() == "# A page\n"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("notes.md", "notes.md"),
        ("Über uns.md", "Über uns.md"),
        ("../../etc/passwd.md", "passwd.md"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\windows\\evil.txt", "evil.txt"),
        (".hidden.md", "hidden.md"),
        ("...", "file"),
        ("", "file"),
        ("a\x00b\nc.md", "a_b_c.md"),
        ("fdp\u202e.md", "fdp_.md"),
        ("  spaced.md ", "spaced.md"),
        ("x" * 300 + ".md", "x" * 197 + ".md"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@example("a." + "b" * 150)
@given(st.text(st.characters() | st.sampled_from("./\\ \0\n"), max_size=200))
def test_any_name_becomes_one_visible_file_in_the_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe and safe.isprintable()
    assert not safe.startswith(".")
    assert Path("folder", safe).parent == Path("folder")
    assert "\\" not in safe
    assert len(safe.encode()) <= 204


def test_several_indexes_in_one_folder_have_uploads_of_their_own(tmp_path: Path) -> None:
    here, there, elsewhere = tmp_path / "work", tmp_path / "recipes", tmp_path / "deep/index"
    common, own = tmp_path / "echo-index-uploads", tmp_path / "echo-index-uploads-work"
    served = [here, there, elsewhere]
    assert uploads_folder(here) == uploads_folder(here, [here]) == uploads_folder(here, [here, elsewhere]) == common
    assert uploads_folder(elsewhere, served) == tmp_path / "deep/echo-index-uploads"
    assert uploads_folder(here, served) == own
    assert uploads_folder(there, served) == tmp_path / "echo-index-uploads-recipes"
    assert uploads_folder(here, served[::-1]) == own, "in any order"
    own.mkdir()
    assert uploads_folder(here) == own, "it keeps them when it is served alone"


def test_the_one_index_that_has_earlier_uploads_keeps_them(tmp_path: Path) -> None:
    here, there, common = tmp_path / "work", tmp_path / "recipes", tmp_path / "echo-index-uploads"
    common.mkdir()
    (common / "fox.md").write_text("The quick brown fox.")
    (tmp_path / "bread.md").write_text("Rye bread.")
    build(common / "fox.md", here)
    build(tmp_path / "bread.md", there)
    assert uploads_folder(here, [here, there]) == common
    assert uploads_folder(there, [here, there]) == tmp_path / "echo-index-uploads-recipes"
    build(common / "fox.md", there)
    for index in (here, there):
        assert uploads_folder(index, [here, there]) == tmp_path / f"echo-index-uploads-{index.name}", "not the same"
