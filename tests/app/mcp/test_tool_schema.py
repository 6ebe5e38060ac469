"""How tools are described to assistants, and what they are given."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from echo_index.app.mcp.result_text import result_text
from echo_index.app.mcp.tool_schema import TOOL_TITLES, call_tool, describe_tool
from echo_index.app.services.document_tools import DocumentTools
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.tool_results import (
    AnswerResult,
    CitedPassage,
    CollectionStatus,
    DocumentEntry,
    DocumentList,
    DocumentText,
    Failure,
    SearchResult,
    StatusResult,
)
from echo_index.errors import QuestionError

PASSAGE: dict[str, Any] = {
    "source": "notes/fox.md",
    "location": "notes/fox.md:3",
    "title": "Animals",
    "headings": ["The fox"],
    "page": None,
    "line": 3,
    "place": "",
    "score": 1.5,
    "text": "The fox jumps.",
    "start": 4,
    "end": 18,
    "format": "markdown",
    "alike": ["notes/copy.md:9"],
    "recognized": "",
}
SIMILAR = "Its arguments are source, start, k, paths, formats, since, before, where and collection."


class Recorder(DocumentTools):
    """Returns what `search` is called with as a note."""

    def search(self, *arguments: Any, **options: Any) -> SearchResult:  # type: ignore[override]
        return SearchResult(passages=[], offset=0, next_offset=None, note=repr((arguments, options)))


@pytest.fixture
def tools(tmp_path: Any) -> DocumentTools:
    return Recorder(IndexService(ServiceOptions(tmp_path / "index")))


@pytest.mark.parametrize("name", TOOL_TITLES)
def test_every_tool_and_every_field_is_described(name: str) -> None:
    tool = describe_tool(name)
    assert len(tool.description) > 40 and "Args" not in tool.description and "\n\n\n" not in tool.description
    for schema in (tool.arguments.model_json_schema(), tool.result.model_json_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)
        for fields in (schema, *schema.get("$defs", {}).values()):
            assert all(field["description"].endswith((".", "'.")) for field in fields["properties"].values())
    assert tool.arguments.model_json_schema()["additionalProperties"] is False


def test_the_schema_of_search_says_what_is_needed_and_what_may_be() -> None:
    schema = describe_tool("search").arguments.model_json_schema()
    assert schema["required"] == ["question"]
    assert schema["properties"]["mode"]["enum"] == ["hybrid", "dense", "lexical"]
    assert schema["properties"]["k"]["default"] == 5 and schema["properties"]["k"]["type"] == "integer"
    assert "in any language" in schema["properties"]["question"]["description"]


def test_a_null_is_an_argument_that_is_not_given(tools: DocumentTools) -> None:
    result = call_tool(tools, "search", {"question": "fox", "k": "3", "paths": None, "mode": None})
    assert result.note == repr(((), {"question": "fox", "k": 3}))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("find", {}, "There is no tool 'find'. The tools are search, read, ask, similar, list_documents and status."),
        ("similar", {"source": "a"}, f"similar needs the argument start. {SIMILAR}"),
        ("similar", {"sources": "a"}, f"similar needs the argument source. {SIMILAR}"),
        ("status", {"of": 1}, "status has no argument 'of'. It takes no arguments."),
        (
            "similar",
            {"source": "a", "start": "here"},
            "The argument start is 'here'; it must be a valid integer, unable to parse string as an integer. "
            + SIMILAR,
        ),
        (
            "list_documents",
            {"contains": ["x" * 900]},
            f"The argument contains is ['{'x' * 78}…; it must be a valid string. "
            "Its arguments are contains, offset, limit and collections.",
        ),
    ],
)
def test_wrong_arguments_are_one_sentence(
    tools: DocumentTools, name: str, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(QuestionError) as raised:
        call_tool(tools, name, arguments)
    assert str(raised.value) == said


def test_a_search_as_text_has_its_places_and_how_to_go_on() -> None:
    passage = CitedPassage(number=1, **PASSAGE)
    result = SearchResult(passages=[passage], offset=5, next_offset=6, note="No document matches x.")
    assert result_text(result) == (
        "6. Animals > The fox — notes/fox.md:3; also at notes/copy.md:9 (score 1.50)\nThe fox jumps.\n\n"
        "No document matches x.\n\nMore passages: search again with offset 6."
    )


def test_an_answer_as_text_has_its_passages() -> None:
    answer = AnswerResult(question="?", text="It jumps [2].", found=True, citations=[CitedPassage(number=2, **PASSAGE)])
    assert result_text(answer).startswith("It jumps [2].\n\n[2] Animals > The fox — notes/fox.md:3")


def test_a_document_as_text_says_where_to_read_on() -> None:
    part = DocumentText(
        source="a.md",
        title="A",
        format="markdown",
        place="lines 1 to 2",
        page=None,
        line=1,
        headings=[],
        text="One.\nTwo.\n",
        start=0,
        end=10,
        length=2000,
        next_start=10,
    )
    assert result_text(part) == (
        "a.md, lines 1 to 2 (characters 0 to 10 of 2,000)\n\nOne.\nTwo.\n\n\n"
        "The document goes on: read again with start 10."
    )
    assert "goes on" not in result_text(part.model_copy(update={"next_start": None}))


def test_lists_as_text_say_what_is_missing() -> None:
    entries = [
        DocumentEntry(source="a.md", title="Animals", format="markdown", size=9, passages=1, failure=None),
        DocumentEntry(source="b.pdf", title="b.pdf", format="pdf", size=9, passages=0, failure="it is locked"),
    ]
    listed = result_text(DocumentList(documents=entries, total=9, offset=4, next_offset=6))
    assert listed == (
        "9 documents, from number 5 on:\na.md (1 passage): Animals\nb.pdf (not read: it is locked)\n"
        "More documents: list them with offset 6."
    )
    status = StatusResult(
        documents=2,
        passages=3,
        formats={"pdf": 2},
        finished="2026-01-01",
        generation=1,
        model="m",
        disk_bytes=2_000_000,
        failures=[Failure(source="b.pdf", reason="it is locked")],
        failed=1,
        incomplete=1,
        collections=[CollectionStatus(name="work", about="Contracts", documents=2, passages=3, finished="2026-01-01")],
    )
    assert result_text(status).splitlines() == [
        "2 documents (2 pdf) in 3 passages.",
        "Built 2026-01-01 with the model m; 2.0 MB on disk.",
        "Collection work (2 documents, 3 passages): Contracts",
        "1 file could not be read:",
        "b.pdf: it is locked",
        "Some part of 1 document has no text.",
    ]
