"""The one place where defaults live. Knows nothing of how they are asked for or used."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TASKS: dict[str, str] = {
    "Question answering": "Find the passage that answers the question.",
    "Similar passages": "Find passages that say the same thing.",
    "Fact checking": "Find the passage that supports or refutes the claim.",
    "Definitions": "Find the passage that defines the term.",
    "Code": "Find the code that does this.",
    "Instructions": "Find the passage that says how to do this.",
}
"""Tasks for a search, by the name that a person chooses from."""


@dataclass(frozen=True)
class Settings:
    """What a command does when nothing else is said."""

    index_dir: Path = Path(".echo-index")
    results: int = 5
    passages: int = 3
    """Given to the model that answers a question; small models do worse with more."""
    answer_tokens: int = 120
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Of the matrix products that embed."""
    chunk_tokens: int = 200
    overlap_tokens: int = 30
    longest_excerpt: int = 500
    """Characters of a passage that `search` prints."""
    host: str = "127.0.0.1"
    port: int = 7860
    page_results: int = 10
    """Passages that the web page shows."""
    upload_megabytes: int = 50
    """The largest file that may be uploaded."""
    uploads_name: str = "echo-index-uploads"
    """The folder beside the index in which uploaded files are kept."""
    longest_question: int = 2000
    """Characters of a question on the web page."""


DEFAULTS = Settings()
