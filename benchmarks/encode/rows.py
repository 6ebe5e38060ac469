"""The rows of the table: what each is called and may be compared with. Knows nothing of how they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """One way to embed, or one peak of the machine."""

    name: str
    gives: Literal["echo", "other", "nothing"]
    """The embedding of the plain way (echo), another one, which is not compared with it vector by vector, or none."""
    is_peer: bool = False
    """Whether it runs another project's package, in the interpreter of --peers."""
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
    """All that a row's process is told when it starts."""

    row: str
    model: str
    folder: str
    """The model's weights and vocabulary, as transformers reads them."""
    gguf: str | None
    """The GGUF file that the folder was made from, or None."""
    minilm: str | None
    """The folder of all-MiniLM-L6-v2, or None: look for the package that carries it."""
    threads: int
    corpora: dict[str, list[str]]
