"""The rows of the table and the settings of their processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """One engine, or one peak of the machine."""

    name: str
    gives: Literal["echo", "other", "nothing"]
    """The same embedding as the plain engine (echo), another kind that is not compared with it, or none."""
    is_peer: bool = False
    """Whether it uses another package, in the interpreter of --peers."""
    is_int8: bool = False


PLAIN = "plain"
FP32_PEAK = "peak-fp32"
INT8_PEAK = "peak-int8"

ROWS = {
    row.name: row
    for row in (
        Row(PLAIN, gives="echo"),
        Row("ours-fp32", gives="echo"),
        Row("ours-bf16", gives="echo"),
        Row("ours-int8", gives="echo", is_int8=True),
        Row("sentence-transformers", gives="other", is_peer=True),
        Row("llama.cpp", gives="other", is_peer=True),
        Row("minilm", gives="other", is_peer=True),
        Row(FP32_PEAK, gives="nothing"),
        Row(INT8_PEAK, gives="nothing"),
    )
}


@dataclass(frozen=True)
class Setting:
    """What a row's process receives when it starts."""

    row: str
    model: str
    folder: str
    """Folder of the model's weights and tokenizer, in the format of transformers."""
    gguf: str | None
    """The GGUF file that the folder was converted from, or None."""
    minilm: str | None
    """Folder of all-MiniLM-L6-v2; None for that of its package."""
    threads: int
    corpora: dict[str, list[str]]
