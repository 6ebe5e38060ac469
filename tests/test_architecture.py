"""The house: imports run one way, each third-party package has one owner, and nothing heavy is imported early."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest
from repository import ROOT

import echo_index

FOLDERS = {"echo_index": "src/echo_index", "embeddings": "echo_embeddings"}
ORDER = {
    "embeddings": (
        *("runtime", "vectors", "text", "decoder", "models", "gpu"),
        *("hidden_states", "encoder_config", "encoder", "sentence_transformers_module"),
        *("queries", "generation", "training"),
    ),
    "indexer": (
        *("storage", "text", "conditions", "documents", "sources", "archives", "sandbox", "catalog"),
        *("vectors", "generations", "stores", "building", "inspection", "exchange", "distributed"),
    ),
    "retriever": ("search", "rag", "evaluation", "answer_evaluation", "tuning"),
    "app": ("defaults", "services", "api", "web", "mcp", "cli"),
}
"""The rooms, each above those before it, and in each its sub-packages and single modules in the same order."""
ROOMS = tuple(ORDER)
OWNERS = {
    "faiss": ("indexer/vectors/faiss_index.py", "indexer/vectors/gpu_index.py"),
    "sqlite3": (
        "indexer/storage/sqlite.py",
        "embeddings/text/partial_tokenizer.py",
    ),
    "transformers": (
        "embeddings/models/language_model.py",
        "embeddings/models/transformers_model.py",
        "embeddings/models/lora.py",
        "embeddings/decoder/config.py",
        "embeddings/models/gguf.py",
        "embeddings/text/tokenizer.py",
        "embeddings/generation/text_generation.py",
        "embeddings/generation/chat_template.py",
        "embeddings/training/peft_adapter.py",
    ),
    "chardet": ("indexer/documents/legacy_encodings.py",),
    "psutil": ("embeddings/runtime/free_cores.py", "app/services/writers.py", "app/services/file_systems.py"),
    "watchfiles": ("app/services/change_events.py",),
    "llguidance": ("embeddings/generation/grammar.py",),
    "num2words": ("retriever/rag/numbers.py",),
    "Stemmer": ("indexer/text/analyzer.py",),
    "yaml": (
        "indexer/documents/readers/markdown/front_matter.py",
        "indexer/documents/readers/structured/yaml_events.py",
    ),
    "tree_sitter": ("indexer/documents/readers/source_code/*",),
    "tree_sitter_language_pack": ("indexer/documents/readers/source_code/syntax.py",),
    "lxml": (
        "indexer/documents/readers/archive.py",
        "indexer/documents/readers/office/*",
        "indexer/documents/readers/word/*",
        "indexer/documents/readers/powerpoint/*",
        "indexer/documents/readers/epub/*",
        "indexer/documents/readers/opendocument/*",
        "indexer/documents/readers/sheets/*",
        "indexer/documents/readers/rtf/equations.py",
        "indexer/documents/readers/rtf/state.py",
    ),
    "olefile": ("indexer/documents/readers/mail/compound.py",),
    "rapidocr": ("indexer/documents/ocr/rapid.py",),
    "PIL": (
        "indexer/documents/ocr/*",
        "indexer/documents/readers/scans/pictures.py",
        "indexer/documents/readers/pdf/scans.py",
    ),
    "python_calamine": ("indexer/documents/readers/sheets/workbook.py",),
    "peft": (
        "embeddings/models/lora.py",
        "embeddings/training/peft_adapter.py",
    ),
    "sentence_transformers": (
        "embeddings/sentence_transformers_module.py",
        "retriever/evaluation/sentence_transformer.py",
    ),
    "huggingface_hub": ("embeddings/models/resolve.py",),
    "tokenizers": (
        "embeddings/text/tokenizer.py",
        "embeddings/text/partial_tokenizer.py",
        "embeddings/generation/text_generation.py",
    ),
    "langchain_core": (
        "retriever/rag/answer_stream.py",
        "retriever/rag/rag_chain.py",
        "retriever/rag/chat_model.py",
        "retriever/rag/query_rewriting.py",
        "retriever/rag/adapters.py",
        "retriever/rag/answer_prompt.py",
        "retriever/rag/whole_document.py",
        "retriever/rag/tool_calls.py",
        "retriever/rag/structured_query.py",
        "retriever/rag/passage_choice.py",
        "retriever/answer_evaluation/*",
        "app/cli/chat.py",
        "app/cli/document_answer.py",
        "app/cli/search.py",
        "app/services/answer_evaluation_job.py",
        "app/services/external_llm.py",
        "app/services/index_service.py",
        "app/services/answer_job.py",
        "app/services/usage_counter.py",
        "app/services/writers.py",
    ),
    "langchain": ("app/services/external_llm.py",),
    "langsmith": ("app/services/external_llm.py",),
    "mteb": ("retriever/evaluation/mteb_adapter.py",),
    "openai": ("app/services/external_llm.py",),
    "gradio": ("app/web/*",),
    "markdown_it": ("indexer/documents/readers/markdown/*", "app/web/rendering/*"),
    "pygments": ("app/web/rendering/code.py",),
    "fastapi": ("app/web/server.py", "app/api/*"),
    "uvicorn": ("app/web/server.py",),
    "starlette": ("app/services/request_guard.py", "app/api/*"),
    "mcp": ("app/mcp/*",),
    "anyio": ("app/mcp/server.py", "app/mcp/stdio.py", "app/api/limits.py"),
    "pyarrow": (
        "indexer/exchange/*",
        "indexer/distributed/part_table.py",
        "indexer/distributed/ray_library.py",
        "indexer/stores/milvus/connection.py",
    ),
    "ray": ("indexer/distributed/*",),
    "fsspec": ("indexer/sources/remote/*", "indexer/distributed/part_store.py"),
    "pymilvus": ("indexer/stores/milvus/*",),
    "milvus_lite": ("indexer/stores/milvus/connection.py",),
    "grpc": ("indexer/stores/milvus/connection.py",),
    "prometheus_client": ("app/api/metrics.py",),
}


@cache
def modules() -> dict[str, Path]:
    """Return the file of each module of the four rooms, by its path inside echo_index."""
    found = {}
    for room in ROOMS:
        folder = ROOT / FOLDERS.get(room, room)
        found.update({f"{room}/{file.relative_to(folder).as_posix()}": file for file in sorted(folder.rglob("*.py"))})
    return found


@cache
def nodes_of(file: Path) -> tuple[ast.AST, ...]:
    """Return all nodes of a file's syntax tree, the module first: read once, as most of these tests need them."""
    return tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))


@cache
def imports_of(file: Path) -> tuple[tuple[str, str | None], ...]:
    """Return (module, name) of each import in a file, wherever it stands; name is None for `import module`."""
    found: list[tuple[str, str | None]] = []
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            found += [(node.module or "", alias.name) for alias in node.names]
    return tuple(found)


def dotted(path: str) -> str:
    """Return the name of a module by its path inside echo_index."""
    return "echo_index." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_inside() -> Iterator[tuple[str, str, str | None]]:
    """Yield (path of the importing module, imported module, name) of what the rooms import from echo_index."""
    known = {dotted(path) for path in modules()}
    for path, file in modules().items():
        for module, name in imports_of(file):
            if module.split(".")[0] == "echo_index":
                inside = f"{module}.{name}"
                yield (path, inside, None) if inside in known else (path, module, name)


def storey(path_or_module: str) -> tuple[int, int] | None:
    """Return (room, sub-package or single module) as positions in their order; None outside the rooms."""
    parts = path_or_module.removeprefix("echo_index.").removesuffix(".py").replace("/", ".").split(".")
    if parts[0] not in ORDER:
        return None
    order = ORDER[parts[0]]
    return ROOMS.index(parts[0]), order.index(parts[1]) if len(parts) > 1 and parts[1] != "__init__" else -1


def loaded_by(code: str) -> set[str]:
    """Return the names of all modules that are loaded after `code` ran in a new interpreter."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_imports_run_one_way_between_rooms_and_inside_them() -> None:
    upwards, seen = [], set()
    for path, module, name in imports_inside():
        above, below = storey(path), storey(module)
        assert above is not None
        if below is None:
            assert module == "echo_index.errors", f"{path} imports {module}"
            continue
        seen.add((above, below))
        if below > above:
            upwards.append((path, module, name))
    assert upwards == []
    assert len(seen) > 60, "most sub-packages import others"


def test_every_sub_package_has_its_place_in_the_order() -> None:
    children = {
        room: {
            child.stem
            for child in (ROOT / FOLDERS.get(room, room)).iterdir()
            if child.name not in ("__init__.py", "__pycache__") and (child.is_dir() or child.suffix == ".py")
        }
        for room in ROOMS
    }
    assert {room: set(order) for room, order in ORDER.items()} == children


def test_no_module_needs_itself_through_others() -> None:
    known = {dotted(path) for path in modules()}
    graph: dict[str, set[str]] = {module: set() for module in known}
    for path, module, _ in imports_inside():
        if module in known:
            graph[dotted(path)].add(module)
    assert len([*TopologicalSorter(graph).static_order()]) == len(known)


def test_private_names_stay_in_their_modules() -> None:
    borrowed = [(path, module, name) for path, module, name in imports_inside() if name and name.startswith("_")]
    assert borrowed == []


def test_only_the_catalog_package_runs_sql() -> None:
    users = {
        path
        for path, file in modules().items()
        for node in nodes_of(file)
        if isinstance(node, ast.Attribute) and node.attr == "database"
    }
    assert users
    assert {path for path in users if not path.startswith("indexer/catalog/")} == set()


def test_packages_hold_no_code_of_their_own() -> None:
    for path, file in modules().items():
        if path.endswith("__init__.py"):
            tree = nodes_of(file)[0]
            assert isinstance(tree, ast.Module)
            assert ast.get_docstring(tree) and len(tree.body) == 1, f"{path} is more than a docstring"


@pytest.mark.parametrize("package", OWNERS)
def test_a_package_is_imported_only_by_its_owners(package: str) -> None:
    users = {
        path for path, file in modules().items() for module, _ in imports_of(file) if module.split(".")[0] == package
    }
    assert {path for path in users if not any(fnmatch(path, owner) for owner in OWNERS[package])} == set()
    assert users


def test_the_public_names_are_those_that_type_checkers_see_and_all_can_be_had() -> None:
    stub = ast.parse((ROOT / "src/echo_index/__init__.pyi").read_text(encoding="utf-8"))
    names = [alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(echo_index.__all__)
    assert 20 < len(names) < 35 and len(names) == len({*names})
    for name in names:
        assert getattr(echo_index, name).__name__ == name if name != "CLASSICAL" else echo_index.CLASSICAL
    with pytest.raises(AttributeError, match="no_such_name"):
        echo_index.no_such_name  # type: ignore[attr-defined]  # noqa: B018


def test_help_imports_nothing_heavy() -> None:
    loaded = loaded_by(
        "sys.argv = ['echo-index', '--help']\nfrom echo_index.app.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass"
    )
    assert "echo_index.app.cli.main" in loaded
    heavy = "torch transformers tokenizers faiss numpy sqlite3 langchain_core langsmith openai gradio"
    assert loaded & set(heavy.split()) == set()


def test_errors_and_bare_rooms_import_nothing_heavy() -> None:
    rooms = ", ".join(f"echo_index.{name}" for name in ("errors", *ROOMS))
    loaded = {name.split(".")[0] for name in loaded_by(f"import {rooms}")}
    assert loaded & {"torch", "transformers", "faiss", "numpy", "langchain_core"} == set()


def test_prompts_and_batches_need_no_torch() -> None:
    text = ", ".join(f"echo_index.embeddings.text.{name}" for name in ("echo_prompt", "batching", "prompt_tokens"))
    assert "torch" not in loaded_by(f"import {text}")


def test_a_build_on_this_machine_loads_nothing_for_many() -> None:
    loaded = loaded_by(
        "from echo_index.app.services.engine_choice import choose_engine\n"
        "import echo_index.indexer.building.build_files\n"
        "choose_engine('local', parts=None, device='cpu', notice=print)"
    )
    assert "echo_index.indexer.building.engine" in loaded
    assert {name for name in loaded if ".distributed" in name} == set()
    assert loaded & {"ray", "pyarrow", "fsspec"} == set()


def test_who_reads_files_on_a_node_needs_no_torch() -> None:
    assert loaded_by("import echo_index.indexer.distributed.workers") & {"torch", "transformers", "ray"} == set()


def test_every_error_says_what_it_is_and_descends_from_one() -> None:
    errors = import_module("echo_index.errors")
    tree = {name: value for name, value in vars(errors).items() if isinstance(value, type)}
    for name, error in tree.items():
        assert issubclass(error, errors.EchoIndexError)
        assert name in errors.__doc__
        assert str(error("It broke.", remedy="Mend it.")) == "It broke. Mend it."
        assert str(error("It broke.")) == "It broke."
