"""Defaults of the command line and the web page, in one place."""

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
"""Instructions for the query prompt, by the name that the web page shows."""


@dataclass(frozen=True)
class Settings:
    """Values of all options that are not given."""

    index_dir: Path = Path(".echo-index")
    results: int = 5
    passages: int = 3
    """Passages given to the model that answers a question; small models do worse with more."""
    answer_tokens: int = 120
    precision: Literal["auto", "fp32", "bf16", "int8"] = "auto"
    """Number format of the matrix products that compute embeddings."""
    chunk_tokens: int = 200
    overlap_tokens: int = 30
    longest_excerpt: int = 500
    """Characters of a passage that `search` prints."""
    read_characters: int = 8000
    """Characters of a document that `read` returns at most."""
    host: str = "127.0.0.1"
    port: int = 7860
    page_results: int = 10
    """Passages that the web page shows."""
    upload_megabytes: int = 50
    """Size limit of an uploaded file."""
    uploads_name: str = "echo-index-uploads"
    """Name of the folder beside the index that uploaded files are stored in."""
    longest_question: int = 2000
    """Characters of a question on the web page."""


DEFAULTS = Settings()
