"""EchoMteb: adapter of the encoder for mteb, the Massive Text Embedding Benchmark; records the prompts of each task."""

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
"""Default instructions by mteb's type of task, if neither the caller nor the task has one."""


@dataclass(frozen=True, slots=True)
class UsedPrompt:
    """The prompt of one side of one task; `instruction` is None if the template has no slot for it."""

    task: str
    task_type: str
    split: str
    subset: str
    side: Side
    template: str
    instruction: str | None


class EchoMteb:
    """An encoder that `mteb.evaluate` accepts as a model (mteb 2, its EncoderProtocol).

    Documents are embedded with the document prompt, queries with the query prompt and an instruction: the first of
    `instructions[task name]`, `instructions[task type]`, the task's own prompt in mteb, TASK_INSTRUCTIONS and the
    encoder's. Tasks without queries, such as STS and clustering, use the `symmetric` side for all texts.

    `means` are the mean document and query vectors, float32 (dimension,), that are subtracted from the vectors. An
    empty text gets a vector of zeros, so that its cosines are 0.

    Raises:
        PromptError: instructions were given and the query prompt has no slot for them.
        ModelError: a mean does not have the dimension of the vectors.
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
        """Embed the texts of all batches: unit vectors float32 (texts, dimension).

        mteb's `batch_size` and `show_progress_bar` have no effect: the encoder makes its own batches.

        Raises:
            ModelError: `precision` is not "float32".
        """
        if precision != "float32":
            raise ModelError(
                f"Vectors in {precision!r} are not supported, only in 'float32'.",
                remedy="The precision of the model's matrix products is an argument of EchoEncoder.",
            )
        side = self.symmetric if prompt_type is None else _side(prompt_type)
        instruction = self.instruction(task_metadata) if side == "query" else None
        prompt = self.encoder.query_prompt if side == "query" else self.encoder.document_prompt
        task = (task_metadata.name, task_metadata.type, hf_split, hf_subset)
        self._used[UsedPrompt(*task, side, prompt.template, instruction)] = None
        return self._vectors([text for batch in inputs for text in batch["text"]], side, instruction)

    def instruction(self, task: TaskMetadata) -> str | None:
        """Return the instruction for the queries of a task; None if the query prompt has no slot for one."""
        if not self.encoder.query_prompt.takes_instruction:
            return None
        task_prompt = task.prompt.get("query") if isinstance(task.prompt, dict) else task.prompt
        configured = self.instructions.get(task.name) or self.instructions.get(task.type)
        return configured or task_prompt or TASK_INSTRUCTIONS.get(task.type) or self.encoder.instruction

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
        """Metadata that mteb writes beside the scores; `loader_kwargs` is `description()`, `revision` a hash of it."""
        from mteb.models import ModelMeta
        from mteb.models.model_meta import ScoringFunction

        description = self.description()
        comparable = {**description, "encoder": self.encoder.fingerprint}
        return ModelMeta.create_empty(
            {
                "name": f"echo-index/{PurePath(self.encoder.model.name).name}",
                "revision": hashlib.sha256(json.dumps(comparable, sort_keys=True).encode()).hexdigest(),
                "max_tokens": self.encoder.max_tokens,
                "embed_dim": self.encoder.dimension,
                "framework": ["PyTorch"],
                "similarity_fn_name": ScoringFunction.COSINE,
                "use_instructions": self.encoder.query_prompt.takes_instruction,
                "loader_kwargs": description,
            }
        )

    def description(self) -> dict[str, object]:
        """Return all settings that affect the scores, except the prompts of mteb's tasks, in JSON types."""
        return {
            "encoder": self.encoder.config(),
            "instructions": dict(self.instructions),
            "default_instructions": dict(TASK_INSTRUCTIONS),
            "symmetric": self.symmetric,
            "means": None if self.means is None else [_sha256(mean) for mean in self.means],
        }

    @property
    def used_prompts(self) -> tuple[UsedPrompt, ...]:
        """The prompts that were used so far, one for each side of each task."""
        return tuple(self._used)

    def write_prompts(self, cache: ResultCache) -> Path:
        """Add `used_prompts` to prompts.jsonl beside the scores in mteb's results; return its path.

        Lines of earlier runs stay, as mteb does not repeat tasks that it has scores of. The file is not named .json
        because mteb reads every .json file in that folder as scores.
        """
        path: Path = cache.get_task_result_path("prompts", self.mteb_model_meta).with_suffix(".jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        existing = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        lines = dict.fromkeys([*existing, *(json.dumps(asdict(used)) for used in self.used_prompts)])
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def _vectors(self, texts: Sequence[str], side: Side, instruction: str | None) -> Vectors:
        vectors = np.zeros((len(texts), self.encoder.dimension), dtype=np.float32)
        nonempty = [position for position, text in enumerate(texts) if text.strip()]
        vectors[nonempty] = self._embed([texts[position] for position in nonempty], side, instruction)
        return vectors

    def _embed(self, texts: Sequence[str], side: Side, instruction: str | None) -> Vectors:
        if side == "query":
            vectors = self.encoder.encode_queries(texts, instruction=instruction)
        else:
            vectors = self.encoder.encode_documents(texts)
        if self.means is None:
            return vectors
        document_mean, query_mean = self.means
        return center(vectors, query_mean if side == "query" else document_mean)


def _side(prompt_type: PromptType) -> Side:
    return "query" if prompt_type.value == "query" else "document"


def _sha256(mean: Vectors) -> str:
    return hashlib.sha256(np.ascontiguousarray(mean, dtype=np.float32).tobytes()).hexdigest()
