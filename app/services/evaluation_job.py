"""Run an evaluation: read its inputs, open encoder and index, and select the systems to compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, Notice, choose_chunking, open_encoder
from echo_index.errors import SourceError

if TYPE_CHECKING:
    from echo_index.embeddings.encoder import EchoEncoder
    from echo_index.retriever.evaluation.baselines import SentenceTransformerBaseline
    from echo_index.retriever.evaluation.datasets import (
        BeirDataset,
        EvaluationInput,
        QuestionFile,
        SentencePairs,
    )
    from echo_index.retriever.evaluation.indexed_dataset import IndexedDataset
    from echo_index.retriever.evaluation.results import DatasetResult

T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class EvaluationOptions:
    """Options of an evaluation; None means not given.

    Attributes:
        index: The index that question files are evaluated on.
        rows: Names of the systems to compare; empty means the default ones.
        limit: How many queries or pairs of each input are used.
        baselines: Names of sentence-transformers models to compare with.
        work: Folder for indexes and cached vectors.
    """

    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    index: Path = DEFAULTS.index_dir
    rows: tuple[str, ...] = ()
    baseline: str | None = None
    limit: int | None = None
    instruction: str | None = None
    baselines: tuple[str, ...] = ()
    work: Path | None = None


def require_encoder_of_index(encoder: EncoderOptions, file: Path, *, index: Path) -> None:
    """Check that no option asks for another encoder than that of an index.

    Raises:
        SourceError: one does.
    """
    others = (encoder.adapter, encoder.layer, encoder.precision, encoder.profile, encoder.document_prompt)
    if encoder.no_adapter or any(value is not None for value in others):
        raise SourceError(
            f"{file} is evaluated on the index in {index}, which has its own encoder.",
            remedy="Leave out --adapter, --no-adapter, --profile, --layer and --precision.",
        )


def evaluate(
    inputs: Sequence[Path],
    options: EvaluationOptions,
    *,
    notice: Notice,
    progress: Progress = lambda doing, done, total: None,
) -> list[DatasetResult]:
    """Evaluate on each input; all inputs are read before anything is embedded.

    Raises:
        SourceError: an input cannot be read or has an unknown format.
        MissingPackage: a package of the extra `evaluation` is missing, or sentence-transformers for a baseline.
        EchoIndexError: a model cannot be opened, or an index cannot be read or written.
    """
    from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
    from echo_index.retriever.evaluation.metrics import require_packages

    require_packages()
    run = _Run(options, notice, progress)
    loaded = [read_evaluation_input(path, limit=options.limit) for path in inputs]
    return [run.evaluate(data) for data in loaded]


@dataclass(frozen=True)
class _Run:
    """The options of one evaluation, and the encoder and baselines, which are loaded when an input first needs them."""

    options: EvaluationOptions
    notice: Notice
    progress: Progress

    def evaluate(self, data: EvaluationInput) -> DatasetResult:
        from echo_index.retriever.evaluation.datasets import BeirDataset, SentencePairs

        if isinstance(data, SentencePairs):
            return self._evaluate_pairs(data)
        return self._evaluate_beir(data) if isinstance(data, BeirDataset) else self._evaluate_questions(data)

    def _evaluate_beir(self, dataset: BeirDataset) -> DatasetResult:
        from echo_index.retriever.evaluation.indexed_dataset import open_dataset

        indexed = open_dataset(
            dataset,
            self.encoder,
            work=self.work,
            chunking=choose_chunking(None, None, before=None),
            instruction=self.options.instruction,
            progress=self.progress,
        )
        return self._rank(indexed)

    def _evaluate_questions(self, file: QuestionFile) -> DatasetResult:
        from echo_index.retriever.evaluation.indexed_dataset import open_question_file
        from echo_index.retriever.search.retriever import Retriever

        encoder = self.options.encoder
        require_encoder_of_index(encoder, file.path, index=self.options.index)
        retriever = Retriever.open(self.options.index, model=encoder.model, device=encoder.device, notice=self.notice)
        indexed = open_question_file(
            file, retriever, work=self.work, instruction=self.options.instruction, progress=self.progress
        )
        return self._rank(indexed)

    def _rank(self, indexed: IndexedDataset) -> DatasetResult:
        from echo_index.retriever.evaluation.results import BASELINE
        from echo_index.retriever.evaluation.retrieval_systems import DEFAULT_SYSTEMS, SYSTEMS
        from echo_index.retriever.evaluation.runner import evaluate_rankings

        systems = [
            *self._select(SYSTEMS, DEFAULT_SYSTEMS, BASELINE),
            *chain.from_iterable(model.systems for model in self._baselines),
        ]
        return evaluate_rankings(indexed, systems, baseline=self.options.baseline or BASELINE)

    def _evaluate_pairs(self, pairs: SentencePairs) -> DatasetResult:
        from echo_index.retriever.evaluation.results import PAIR_BASELINE
        from echo_index.retriever.evaluation.runner import evaluate_similarities
        from echo_index.retriever.evaluation.similarity_methods import SIMILARITY_METHODS, embed_pairs

        baseline = self.options.baseline if self.options.baseline in SIMILARITY_METHODS else PAIR_BASELINE
        return evaluate_similarities(
            embed_pairs(pairs, self.encoder, work=self.work, progress=self.progress),
            [
                *self._select(SIMILARITY_METHODS, SIMILARITY_METHODS, PAIR_BASELINE),
                *(model.similarity_method for model in self._baselines),
            ],
            encoder=self.encoder.config(),
            baseline=baseline or PAIR_BASELINE,
        )

    def _select(self, systems: Mapping[str, T], defaults: Iterable[str], baseline: str) -> list[T]:
        """Return the systems that the options name, else the defaults, and always the one they are compared with."""
        names = {*(self.options.rows or defaults), self.options.baseline or baseline}
        return [system for name, system in systems.items() if name in names]

    @cached_property
    def encoder(self) -> EchoEncoder:
        """The encoder that the options describe."""
        return open_encoder(self.options.encoder, before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=self.notice)

    @cached_property
    def work(self) -> Path:
        """Folder for indexes and cached vectors."""
        from echo_index.embeddings.runtime.cache import cache_folder

        return self.options.work or cache_folder() / "evaluation"

    @cached_property
    def _baselines(self) -> list[SentenceTransformerBaseline]:
        from echo_index.retriever.evaluation.baselines import SentenceTransformerBaseline

        return [SentenceTransformerBaseline(name, work=self.work) for name in self.options.baselines]
