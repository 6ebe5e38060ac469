"""EchoMteb: the encoder as mteb, the Massive Text Embedding Benchmark, knows a model. Adapts, and notes the prompts.

Knows nothing of a task but its name, its type and its prompt, and nothing of how it is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np

from echo_index.embeddings.runtime.executor import run_on_executor
from echo_index.embeddings.vectors.vector_ops import center
from echo_index.errors import ModelError, PromptError

if TYPE_CHECKING:
    from mteb import ResultCache
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import ModelMeta
    from mteb.types import PromptType
    from torch import Tensor

    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.embeddings.vectors.vector_ops import Vectors

Side = Literal["document", "query"]

TASK_INSTRUCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "Retrieval": "Find the passage that answers the question.",
        "Reranking": "Find the texts that are relevant to the question.",
        "InstructionRetrieval": "Find the passage that answers the question.",
        "InstructionReranking": "Find the texts that are relevant to the question.",
        "STS": "Find a text that means the same.",
        "PairClassification": "Find a text that means the same.",
        "Summarization": "Find a summary that says the same.",
        "BitextMining": "Find the translation of the text.",
        "Classification": "Find texts of the same class.",
        "MultilabelClassification": "Find texts of the same classes.",
        "Clustering": "Find texts about the same subject.",
    }
)
"""The instruction of queries by mteb's type of a task, where neither the caller nor the task has one."""


@dataclass(frozen=True, slots=True)
class UsedPrompt:
    """What one side of one task was read with; `instruction` is None where the template takes none."""

    task: str
    task_type: str
    split: str
    subset: str
    side: Side
    template: str
    instruction: str | None


class EchoMteb:
    """An encoder that `mteb.evaluate` accepts as a model (mteb 2, its EncoderProtocol).

    Documents are read with the document prompt, queries with the query prompt and an instruction: that of
    `instructions` for the task's name, else for its type, else the task's own prompt in mteb, else that of
    TASK_INSTRUCTIONS, else the encoder's. Tasks that know no queries, such as STS and clustering, are read on all sides
    as `symmetric` says.

    Vectors are those of the encoder; `means`, those of documents and of queries, float32 (dimension,), are removed from
    them where they are given. An empty text, as some corpora have, gets a vector of zeros: its cosines are 0.

    Raises:
        PromptError: instructions were given and the query prompt has no place for one.
        ModelError: a mean is not as long as the vectors.
    """

    def __init__(
        self,
        encoder: EchoEncoder,
        *,
        instructions: Mapping[str, str] | None = None,
        symmetric: Side = "document",
        means: tuple[Vectors, Vectors] | None = None,
    ) -> None:
        if instructions and not encoder.query_prompt.takes_instruction:
            raise PromptError(f"The query prompt {encoder.query_prompt.template!r} has no {{instruction}} slot.")
        for mean in means or ():
            if mean.shape != (encoder.dimension,):
                raise ModelError(f"A mean has the shape {mean.shape}; the vectors have {encoder.dimension} numbers.")
        self.encoder = encoder
        self.instructions = MappingProxyType(dict(instructions or {}))
        self.symmetric = symmetric
        self.means = means
        self._used: dict[UsedPrompt, None] = {}

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,
        hf_subset: str,
        prompt_type: PromptType | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        precision: str = "float32",
    ) -> Vectors:
        """Embed the texts of all batches: float32 (texts, dimension), unit rows, in their order.

        mteb's `batch_size` and `show_progress_bar` change nothing: the encoder makes its own batches.

        Raises:
            ModelError: another precision of the vectors than "float32" was asked for.
        """
        if precision != "float32":
            raise ModelError(
                f"Vectors in {precision!r} were asked for; there are only float32 ones.",
                remedy="The precision of the model's matrix products is an argument of EchoEncoder.",
            )
        side = self.symmetric if prompt_type is None else _side(prompt_type)
        instruction = self.instruction(task_metadata) if side == "query" else None
        prompt = self.encoder.query_prompt if side == "query" else self.encoder.document_prompt
        task = (task_metadata.name, task_metadata.type, hf_split, hf_subset)
        self._used[UsedPrompt(*task, side, prompt.template, instruction)] = None
        return self._vectors([text for batch in inputs for text in batch["text"]], side, instruction)

    def instruction(self, task: TaskMetadata) -> str | None:
        """Return what queries of a task are read with; None where the query prompt takes no instruction."""
        if not self.encoder.query_prompt.takes_instruction:
            return None
        own = task.prompt.get("query") if isinstance(task.prompt, dict) else task.prompt
        given = self.instructions.get(task.name) or self.instructions.get(task.type)
        return given or own or TASK_INSTRUCTIONS.get(task.type) or self.encoder.instruction

    def similarity(self, first: Vectors | Tensor, second: Vectors | Tensor) -> Tensor:
        """Return the cosine of each row of `first` (n, dimension) with each of `second` (m, dimension): (n, m)."""
        from mteb.similarity_functions import cos_sim

        cosines: Tensor = run_on_executor(lambda: cos_sim(first, second))
        return cosines

    def similarity_pairwise(self, first: Vectors | Tensor, second: Vectors | Tensor) -> Tensor:
        """Return the cosine of each row of `first` (n, dimension) with the same row of `second`: (n,)."""
        from mteb.similarity_functions import pairwise_cos_sim

        cosines: Tensor = run_on_executor(lambda: pairwise_cos_sim(first, second))
        return cosines

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes beside the scores; `loader_kwargs` is `description()`, `revision` a hash of it."""
        from mteb.models import ModelMeta
        from mteb.models.model_meta import ScoringFunction

        described = self.description()
        comparable = {**described, "encoder": self.encoder.fingerprint}
        return ModelMeta.create_empty(
            {
                "name": f"echo-index/{PurePath(self.encoder.model.name).name}",
                "revision": hashlib.sha256(json.dumps(comparable, sort_keys=True).encode()).hexdigest(),
                "max_tokens": self.encoder.max_tokens,
                "embed_dim": self.encoder.dimension,
                "framework": ["PyTorch"],
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": self.encoder.query_prompt.takes_instruction,
                "loader_kwargs": described,
            }
        )

    def description(self) -> dict[str, object]:
        """Return all that decides the scores, but for the prompts of mteb's own tasks, in types that JSON knows."""
        return {
            "encoder": self.encoder.config(),
            "instructions": dict(self.instructions),
            "default_instructions": dict(TASK_INSTRUCTIONS),
            "symmetric": self.symmetric,
            "means": None if self.means is None else [_hash(mean) for mean in self.means],
        }

    @property
    def used_prompts(self) -> tuple[UsedPrompt, ...]:
        """What each side of each task was really read with so far."""
        return tuple(self._used)

    def write_prompts(self, cache: ResultCache) -> Path:
        """Add `used_prompts` to prompts.jsonl, which stands beside the scores in mteb's results; return its path.

        Lines of earlier runs stay: mteb does not run again what it has scores of. mteb takes every other .json file in
        that folder for scores, so this is none.
        """
        path: Path = cache.get_task_result_path("prompts", self.mteb_model_meta).with_suffix(".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        lines = dict.fromkeys([*before, *(json.dumps(asdict(used)) for used in self.used_prompts)])
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _vectors(self, texts: Sequence[str], side: Side, instruction: str | None) -> Vectors:
        vectors = np.zeros((len(texts), self.encoder.dimension), dtype=np.float32)
        told = [position for position, text in enumerate(texts) if text.strip()]
        vectors[told] = self._embedded([texts[position] for position in told], side, instruction)
        return vectors

    def _embedded(self, texts: Sequence[str], side: Side, instruction: str | None) -> Vectors:
        if side == "query":
            vectors = self.encoder.encode_queries(texts, instruction=instruction)
        else:
            vectors = self.encoder.encode_documents(texts)
        if self.means is None:
            return vectors
        of_documents, of_queries = self.means
        return center(vectors, of_queries if side == "query" else of_documents)


def _side(prompt_type: PromptType) -> Side:
    return "query" if prompt_type.value == "query" else "document"


def _hash(mean: Vectors) -> str:
    return hashlib.sha256(np.ascontiguousarray(mean, dtype=np.float32).tobytes()).hexdigest()
