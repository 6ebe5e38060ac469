"""Is the right page among the first hits? recall@k of pages over a file of questions, for each mode of search.

    python -m benchmarks.pages QUESTIONS.jsonl [--index FOLDER] [--json OUT.json]

Each line of the file is {"question": …, "page": …}; the page is the document's path as the index has it.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from retriever import Mode, Retriever

_CUTS = (1, 3, 10)
_MODES: tuple[Mode, ...] = ("dense", "lexical", "hybrid")


def main() -> None:
    """Print one row a mode, and write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--index", type=Path, default=Path(".echo-index"))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    lines = arguments.questions.read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    retriever = Retriever.open(arguments.index)
    retriever.search("a first search, which loads the model", k=1)
    print(f"{len(questions)} questions; right page among the first k hits; {arguments.index}")
    print(f"{'mode':8}" + "".join(f"{f'k={k}':>6}" for k in _CUTS) + f"{'ms a question':>15}  missed at k=3")
    rows = []
    for mode in _MODES:
        started = time.perf_counter()
        found = [
            [hit.source for hit in retriever.search(item["question"], k=max(_CUTS), mode=mode)] for item in questions
        ]
        milliseconds = 1000 * (time.perf_counter() - started) / len(questions)
        right = {k: [item["page"] in pages[:k] for item, pages in zip(questions, found, strict=True)] for k in _CUTS}
        missed = [item["page"] for item, is_right in zip(questions, right[3], strict=True) if not is_right]
        rows.append({"mode": mode, "found": {k: sum(right[k]) for k in _CUTS}, "missed": missed})
        counts = "".join(f"{sum(right[k]):6}" for k in _CUTS)
        print(f"{mode:8}{counts}{milliseconds:15.0f}  {', '.join(missed)}")
    if arguments.json:
        report = {"questions": arguments.questions.name, "count": len(questions), "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
