"""Commands in pipes: questions and lists of paths on standard input, documents on standard output, completion."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_runner import Run

from echo_index.app.cli.query_pipe import read_queries


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "fox.md").write_text("# The fox\n\nThe quick brown fox jumps over the lazy dog.\n")
    (folder / "vow.md").write_text("# Wizards\n\nSeven wizards quietly judge my vow.\n")
    (folder / "box.md").write_text("# Boxes\n\nPack my box with five dozen liquor jugs.\n")
    return folder


def indexed(run: Run) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(run("status", "--json").out)
    return status


# Questions


def test_questions_are_read_line_by_line(run: Run, notes: Path) -> None:
    run("build", "notes")
    questions = b"\xef\xbb\xbflazy dog\n\n  \r\nliquor jugs\r\nunheard"
    found = run("search", "-", "-k", "1", "--mode", "lexical", given=questions)
    assert found.code == 0
    first, second, third = found.out.split("> ")[1:]
    assert first.startswith("lazy dog\n1. The fox\n") and "notes/fox.md:3" in first
    assert second.startswith("liquor jugs\n1. Boxes\n")
    assert third == "unheard\nNothing was found.\n"


def test_each_question_is_one_line_of_json(run: Run, notes: Path) -> None:
    run("build", "notes")
    found = run("search", "-", "-k", "1", "--mode", "lexical", "--json", given="lazy dog\nunheard é\n".encode())
    first, second = (json.loads(line) for line in found.out.splitlines())
    assert (first["question"], first["passages"][0]["source"]) == ("lazy dog", "notes/fox.md")
    assert second == {"question": "unheard é", "passages": []}


def test_a_question_that_cannot_be_searched_does_not_end_the_others(
    run: Run, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from echo_index.errors import TextError
    from echo_index.retriever.search.retriever import Retriever

    run("build", "notes")
    search = Retriever.search

    def find(self: Retriever, query: str, **options: Any) -> Any:
        if query == "bad":
            raise TextError("The text is bad.")
        return search(self, query, **options)

    monkeypatch.setattr(Retriever, "search", find)
    questions = b"bad\nlazy dog\n"
    as_text = run("search", "-", "--mode", "lexical", given=questions)
    assert (as_text.code, as_text.err) == (1, "bad: The text is bad.\n") and "notes/fox.md" in as_text.out
    as_json = run("search", "-", "--mode", "lexical", "--json", given=questions)
    first, second = (json.loads(line) for line in as_json.out.splitlines())
    assert first == {"question": "bad", "passages": [], "error": "The text is bad."}
    assert as_json.code == 1 and second["passages"]


def test_a_question_is_answered_before_the_next_one_is_there(run: Run, notes: Path, tmp_path: Path) -> None:
    run("build", "notes")
    command = [sys.executable, "-m", "echo_index", "search", "-", "--mode", "lexical", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=tmp_path) as process:
        assert process.stdin is not None and process.stdout is not None
        for question in ("lazy dog", "liquor"):
            process.stdin.write(question.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["question"] == question
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_questions_that_are_no_utf_8_are_read() -> None:
    assert [*read_queries(io.BytesIO(b"caf\xe9\n\n"))] == ["caf\ufffd"]


# Lists of paths


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (("-",), b"notes/fox.md\r\n\nnotes/box.md\nnotes/fox.md\n"),
        (("-", "--null"), b"notes/fox.md\0notes/box.md\0"),
        (("-", "-0"), b"notes/fox.md\0notes/box.md"),
        (("-", "notes/fox.md"), b"notes/box.md"),
    ],
)
def test_a_build_reads_a_list_of_paths(run: Run, notes: Path, words: tuple[str, ...], given: bytes) -> None:
    built = run("build", *words, given=given)
    assert (built.code, built.out[:12]) == (0, "Files: 2 new")
    assert run("search", "wizards", "--mode", "lexical").out == "Nothing was found.\n"


def test_the_next_build_reads_the_files_of_the_list_again(run: Run, notes: Path) -> None:
    run("build", "-", given=b"notes/fox.md\nnotes/box.md\nnotes/vow.md\n")
    (notes / "new.md").write_text("# New\n\nNot in the list.\n")
    (notes / "fox.md").write_text("# The fox\n\nThe fox sleeps.\n")
    (notes / "box.md").unlink()
    again = run("build")
    assert again.out.startswith("Files: 1 changed, 1 unchanged, 1 removed;")
    assert f"Deleted, and taken out of the index: {notes}/box.md" in again.err
    assert indexed(run)["documents"] == 2
    quiet = run("build")
    assert quiet.out.startswith("Files: 2 unchanged;") and "Deleted" not in quiet.err
    (notes / "box.md").write_text("# Boxes\n\nIt is back.\n")
    assert run("build").out.startswith("Files: 2 unchanged;"), "a file that came back has to be named again"


def test_a_list_may_name_files_that_have_been_deleted(run: Run, notes: Path) -> None:
    given = b"notes/fox.md\nnotes/box.md\n"
    run("build", "-", given=given)
    (notes / "box.md").unlink()
    again = run("build", "-", given=given)
    assert again.out.startswith("Files: 1 unchanged, 1 removed;")
    assert "There is no file or folder at notes/box.md." in again.err
    gone = run("build", "-", given=b"a.md\nb[1].md\n")
    assert (gone.code, gone.err) == (1, "Error: There is no file or folder at a.md, b[1].md. Check the spelling.\n")
    assert indexed(run)["documents"] == 1


def test_a_folder_that_is_gone_takes_nothing_out(run: Run, notes: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/one.md").write_text("# One\n\nOne more.\n")
    run("build", "-", given=b"notes/fox.md\nmore/one.md\n")
    (tmp_path / "more").rename(tmp_path / "other")
    again = run("build")
    assert again.code == 1 and "cannot be built again: there is no file or folder at" in again.err
    assert indexed(run)["documents"] == 2


def test_an_archive_of_the_list_that_is_deleted_is_taken_out_with_its_files(run: Run, notes: Path) -> None:
    import zipfile

    with zipfile.ZipFile(notes / "all.zip", "w") as archive:
        archive.write(notes / "vow.md", "vow.md")
    run("build", "-", given=b"notes/fox.md\nnotes/all.zip\n")
    assert indexed(run)["documents"] == 2
    (notes / "all.zip").unlink()
    assert run("build").out.startswith("Files: 1 unchanged, 1 removed;")


@pytest.mark.parametrize(
    ("words", "given", "code", "said"),
    [
        (("-",), b"", 1, "Standard input has no path. Write one on each line:"),
        (("-",), b" \n\n", 1, "Standard input has no path."),
        (("-",), b"notes/fox.md\0notes/box.md", 1, "is separated by NUL characters. Add --null."),
        (("notes", "--null"), b"", 2, "--null says how the paths on standard input are"),
        (("-", "nowhere"), b"notes/fox.md", 1, "There is no file or folder at nowhere."),
    ],
)
def test_a_list_that_cannot_be_read_is_named(
    run: Run, notes: Path, words: tuple[str, ...], given: bytes, code: int, said: str
) -> None:
    ended = run("build", *words, given=given)
    assert ended.code == code and said in ended.err


def test_of_many_sources_only_the_first_are_named(run: Run, notes: Path) -> None:
    for number in range(20):
        (notes / f"{number:02}.md").write_text(f"# {number}\n\nText {number}.\n")
    run("build", "-", given="\n".join(f"notes/{number:02}.md" for number in range(20)).encode())
    again = run("build")
    assert f"Sources of earlier builds: {notes}/00.md, {notes}/01.md, {notes}/02.md and 17 others" in again.err


# Reading


def test_a_document_is_printed(run: Run, notes: Path) -> None:
    run("build", "notes")
    assert run("read", "notes/fox.md").out == (
        "The fox\nnotes/fox.md, lines 1 to 3\n\n# The fox\n\nThe quick brown fox jumps over the lazy dog.\n"
    )
    assert run("read", str(notes / "fox.md")).out == run("read", "notes/fox.md").out, "also by its path"


def test_what_search_prints_is_read(run: Run, notes: Path) -> None:
    (notes / "long.md").write_text("# Long\n\n" + "".join(f"Line {number}.\n\n" for number in range(3, 500)))
    run("build", "notes")
    [hit] = json.loads(run("search", '"Line 250"', "--mode", "lexical", "-k", "1", "--json").out)
    location = f"{hit['source']}:{hit['line']}"
    assert location in run("search", '"Line 250"', "--mode", "lexical").out
    around = run("read", location)
    assert "Line 250.\n" in around.out and "Line 240." in around.out and "Line 400." not in around.out
    assert around.err.startswith("The document goes on: --start ")
    rest = run("read", "notes/long.md", "--start", around.err.split()[-1])
    assert "Line 499." in rest.out and "Line 250.\n" not in rest.out
    lines = run("read", "notes/long.md:3-5", "--json")
    assert json.loads(lines.out)["text"] == "Line 3.\n\nLine 4.\n"
    assert run("read", "notes/long.md", "--characters", "20").out.endswith("\n\n# Long\n\nLine 3.\n")


def test_a_page_is_read_by_what_search_prints(run: Run, notes: Path) -> None:
    from example_documents import pdf_file

    (notes / "report.pdf").write_bytes(pdf_file(["Costs of the lighthouse.", "Storms of the winter."]))
    run("build", "notes")
    assert "notes/report.pdf, page 2" in run("search", "storms", "--mode", "lexical").out
    page = run("read", "notes/report.pdf, page 2")
    assert page.out.endswith("\nnotes/report.pdf, page 2\n\nStorms of the winter.\n")
    assert run("read", "notes/report.pdf#page=2").out == page.out
    both = run("read", "notes/report.pdf, pages 1 to 2")
    assert "Costs" in both.out and "Storms" in both.out


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("notes/none.md:3", "There is no document notes/none.md:3 in the index in .echo-index."),
        ("notes", "notes matches 3 documents, notes/box.md and notes/fox.md among them. Name one of them."),
        ("notes/fox.md, page 2", "notes/fox.md has no pages. Name a line: notes/fox.md:1"),
        ("notes/fox.md:9", "notes/fox.md has no line 9. It has 3 lines."),
        ("notes/fox.md#Nothing", "notes/fox.md has no place or heading 'Nothing'. It has The fox."),
        ("/etc/passwd", "There is no document /etc/passwd in the index"),
    ],
)
def test_what_cannot_be_read_is_named(run: Run, notes: Path, location: str, said: str) -> None:
    run("build", "notes")
    ended = run("read", location)
    assert (ended.code, ended.out) == (1, "") and said in ended.err and ended.err.count("\n") == 1


def test_control_characters_of_a_document_do_not_reach_the_terminal(run: Run, notes: Path) -> None:
    (notes / "odd.txt").write_text("red \x1b[31m text\n")
    run("build", "notes")
    assert "\x1b" not in run("read", "notes/odd.txt").out


# Completion


def test_a_shell_can_complete_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        env = {**os.environ, "_ECHO_INDEX_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "2"}
        env["COMP_CWORD"] = str(len(words.split()) - 1)
        script = "import sys; sys.argv = ['echo-index']; from echo_index.app.cli.main import main; main()"
        return subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True).stdout.split()

    assert completed("echo-index se") == ["search", "serve"]
    assert completed("echo-index search --form") == ["--format"]
