"""The house: imports run one way, each third-party package has one owner, and nothing heavy is imported early."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("echo_embeddings", "indexer", "retriever", "app")
OWNERS = {
    "faiss": ("indexer/vectors.py",),
    "sqlite3": ("indexer/database.py", "echo_embeddings/excerpts.py"),
    "transformers": (
        *(
            f"echo_embeddings/{name}.py"
            for name in ("models", "adapters", "architecture", "conversion", "vocabulary", "generation", "chat_format")
        ),
        "echo_embeddings/tuning/student.py",
    ),
    "Stemmer": ("indexer/terms.py",),
    "peft": ("echo_embeddings/adapters.py", "echo_embeddings/tuning/student.py"),
    "sentence_transformers": ("retriever/sentence_transformer.py",),
    "huggingface_hub": ("echo_embeddings/finding.py",),
    "tokenizers": ("echo_embeddings/vocabulary.py", "echo_embeddings/excerpts.py", "echo_embeddings/generation.py"),
    "langchain_core": (
        *(f"retriever/{name}.py" for name in ("answer", "chain", "chat", "followup", "langchain", "prompts")),
        "app/llm.py",
        "app/service.py",
    ),
    "langchain": ("app/llm.py",),
    "langsmith": ("app/llm.py",),
    "mteb": ("retriever/mteb_model.py",),
    "openai": ("app/llm.py",),
    "gradio": ("app/ui/*",),
    "fastapi": ("app/ui/server.py",),
    "uvicorn": ("app/ui/server.py",),
    "starlette": ("app/ui/guard.py",),
}


def modules() -> list[tuple[str, Path]]:
    """Return (path from the root, file) of every module in the four rooms."""
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    return [(file.relative_to(ROOT).as_posix(), file) for file in files]


def imports_of(file: Path) -> Iterator[tuple[str, str | None]]:
    """Yield (module, name) of each import in a file, wherever it stands; name is None for `import module`."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield from ((node.module or "", alias.name) for alias in node.names)


def imports_between_rooms(room: str) -> list[tuple[str, str, str | None]]:
    """Return (path, module, name) of what a room's files import from the four rooms."""
    return [
        (path, module, name)
        for path, file in modules()
        if path.startswith(f"{room}/")
        for module, name in imports_of(file)
        if module.split(".")[0] in ROOMS
    ]


def loaded_by(code: str) -> set[str]:
    """Return the names of all modules that are loaded after `code` ran in a new interpreter."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_itself_and_the_rooms_below(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    found = imports_between_rooms(room)
    assert [entry for entry in found if entry[1].split(".")[0] not in allowed] == []
    assert found


@pytest.mark.parametrize("room", ROOMS[1:])
def test_a_room_uses_only_public_names_of_the_rooms_below(room: str) -> None:
    def is_public(module: str, name: str | None) -> bool:
        below, _, inside = module.partition(".")
        if inside:
            return inside == "errors"
        return name == "errors" or name in import_module(below).__all__

    borrowed = [entry for entry in imports_between_rooms(room) if entry[1].split(".")[0] != room]
    assert [entry for entry in borrowed if not is_public(entry[1], entry[2])] == []


def test_no_module_needs_itself_through_others() -> None:
    files = {path.removesuffix(".py").replace("/", "."): file for path, file in modules()}
    graph = {
        module: {imported for imported, _ in imports_of(file) if imported in files} for module, file in files.items()
    }
    assert len([*TopologicalSorter(graph).static_order()]) == len(files)


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_is_imported_only_by_its_owners(package: str) -> None:
    users = {path for path, file in modules() for module, _ in imports_of(file) if module.split(".")[0] == package}
    assert {path for path in users if not any(fnmatch(path, owner) for owner in OWNERS[package])} == set()
    assert users


@pytest.mark.parametrize("room", ROOMS[:-1])  # nobody imports app
def test_the_public_names_of_a_room_are_those_it_serves(room: str) -> None:
    module = import_module(room)
    assert set(module.__all__) == set(module._HOMES)
    assert len(module.__all__) == len(set(module.__all__))
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        module.no_such_name  # noqa: B018


@pytest.mark.parametrize("room", ROOMS[:-1])  # nobody imports app
def test_a_type_checker_sees_the_public_names_of_a_room(room: str) -> None:
    names = {name for module, name in imports_of(ROOT / room / "__init__.py") if module.startswith(f"{room}.")}
    assert names == set(import_module(room).__all__)


def test_help_imports_nothing_heavy() -> None:
    loaded = loaded_by(
        "sys.argv = ['echo-index', '--help']\nfrom app.cli import main\ntry: main()\nexcept SystemExit: pass"
    )
    assert "app.cli" in loaded
    heavy = "torch transformers tokenizers faiss numpy sqlite3 langchain_core langsmith openai gradio"
    assert loaded & set(heavy.split()) == set()


def test_errors_and_bare_rooms_import_nothing_heavy() -> None:
    loaded = loaded_by("import echo_embeddings.errors, indexer, retriever, app")
    assert {name.split(".")[0] for name in loaded} & {
        "torch",
        "transformers",
        "faiss",
        "numpy",
        "langchain_core",
    } == set()


def test_prompts_and_batches_need_no_torch() -> None:
    assert "torch" not in loaded_by("import echo_embeddings.prompts, echo_embeddings.batching, echo_embeddings.tokens")


def test_every_error_says_what_it_is_and_descends_from_one() -> None:
    errors = import_module("echo_embeddings.errors")
    tree = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    for name, error in tree.items():
        assert issubclass(error, errors.EchoIndexError)
        assert name in errors.__doc__
        assert str(error("It broke.", remedy="Mend it.")) == "It broke. Mend it."
        assert str(error("It broke.")) == "It broke."
