"""Measure answers on a dataset in BEIR's layout: citations of the right documents, and "not found" without them.

    python -m benchmarks.answers FOLDER [--questions 50] [--work FOLDER] [--model NAME] [-k 3] [--json OUT.json]

Each text of the corpus becomes a document. A sample of the questions is answered from an index of all documents, and
again from an index without the relevant documents of these questions. The two indexes stay in the work folder.
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import dataclass
from pathlib import Path

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.language_model import load_model
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoRetriever
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.citations import Answer
from echo_index.retriever.rag.rag_chain import rag_chain
from echo_index.retriever.search.retriever import Retriever

_ANSWER_TOKENS = 120


@dataclass(frozen=True)
class JudgedQuestion:
    """A question and the ids of its relevant documents."""

    question: str
    relevant: frozenset[str]


def main() -> None:
    """Print how many answers cite a relevant document, and how many questions get "not found" without them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--work", type=Path, default=Path("answers-work"))
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("-k", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    questions = _read_questions(arguments.folder, count=arguments.questions)
    removed = frozenset().union(*(item.relevant for item in questions))
    encoder = EchoEncoder(load_model(arguments.model))
    chat = EchoChatModel(language_model=encoder.model, max_tokens=_ANSWER_TOKENS)
    rows: dict[str, list[dict[str, object]]] = {}
    for name, without in (("whole", frozenset[str]()), ("without", removed)):
        index = _index(arguments.folder, arguments.work / name, encoder=encoder, without=without)
        chain = rag_chain(EchoRetriever(retriever=index, k=arguments.k), chat)
        answers = [chain.invoke(item.question)["answer"] for item in questions]
        rows[name] = [_row(item, answer) for item, answer in zip(questions, answers, strict=True)]
    whole, without_them = rows["whole"], rows["without"]
    print(f"{arguments.folder.name}: {len(questions)} questions, {arguments.k} passages each, {arguments.model}")
    print(f"a right document among the passages given   {sum(bool(row['given']) for row in whole)}")
    print(f"an answer                                   {sum(bool(row['found']) for row in whole)}")
    print(f"a right document among the citations        {sum(bool(row['cited']) for row in whole)}")
    print(f"documents gone ({len(removed)}): nothing found             {sum(not row['found'] for row in without_them)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


def _read_questions(folder: Path, *, count: int) -> list[JudgedQuestion]:
    texts = {line["_id"]: line["text"] for line in _lines(folder / "queries.jsonl")}
    relevant: dict[str, set[str]] = {}
    with (folder / "qrels" / "test.tsv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                relevant.setdefault(row["query-id"], set()).add(row["corpus-id"])
    judged = [JudgedQuestion(texts[query], frozenset(documents)) for query, documents in relevant.items()]
    return judged[:: max(1, len(judged) // count)][:count]


def _index(folder: Path, work: Path, *, encoder: EchoEncoder, without: frozenset[str]) -> Retriever:
    documents = work / "documents"
    documents.mkdir(parents=True, exist_ok=True)
    for line in _lines(folder / "corpus.jsonl"):
        path = documents / f"{line['_id']}.md"
        if line["_id"] in without:
            path.unlink(missing_ok=True)  # from an earlier run with other questions
            continue
        heading = f"# {line['title']}\n\n" if line.get("title") else ""
        path.write_text(f"{heading}{line['text']}\n", encoding="utf-8")
    report = build_index([Source.parse(str(documents))], work / "index", encoder=encoder)
    print(f"{work / 'index'}: {report.documents} documents, {report.chunks} passages", flush=True)
    return Retriever.open(work / "index", encoder=encoder)


def _row(item: JudgedQuestion, answer: Answer) -> dict[str, object]:
    cited = {Path(citation.hit.source).stem for citation in answer.citations}
    given = {Path(hit.source).stem for hit in answer.passages}
    return {
        "question": item.question,
        "right": sorted(item.relevant),
        "answer": answer.text,
        "found": answer.found,
        "given": bool(given & item.relevant),
        "cited": bool(cited & item.relevant),
        "removed_markers": answer.removed_markers,
    }


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
