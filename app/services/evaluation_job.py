"""From what a person wants evaluated to results: reads the inputs, opens encoder and index, chooses the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
    from echo_index.retriever.evaluation.results import DatasetResult

T = TypeVar("T")
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class EvaluationOptions:
    """What a person said about an evaluation; None is nothing, and no row named is the usual ones.

    `index` is asked the questions of files, `most` is how many questions or pairs of each input are taken, `peers` are
    names of sentence-transformers models, `work` is the folder in which indexes and vectors are kept.
    """

    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    index: Path = DEFAULTS.index_dir
    rows: tuple[str, ...] = ()
    baseline: str | None = None
    most: int | None = None
    instruction: str | None = None
    peers: tuple[str, ...] = ()
    work: Path | None = None


def evaluate(
    inputs: Sequence[Path],
    options: EvaluationOptions,
    *,
    notice: Notice,
    progress: Progress = lambda doing, done, total: None,
) -> list[DatasetResult]:
    """Evaluate on each input, all of which are read before anything is embedded.

    Raises:
        SourceError: an input cannot be read, or is nothing to evaluate on.
        MissingPackage: a package of the extra `evaluation`, or sentence-transformers for a peer, is not installed.
        EchoIndexError: a model cannot be opened, or an index read or written.
    """
    from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
    from echo_index.retriever.evaluation.metrics import require_packages

    require_packages()
    run = _Run(options, notice, progress)
    found = [read_evaluation_input(path, most=options.most) for path in inputs]
    return [run.result(each) for each in found]


@dataclass(frozen=True)
class _Run:
    """What the inputs of one evaluation share; the encoder is loaded where one of them needs it."""

    options: EvaluationOptions
    notice: Notice
    progress: Progress

    def result(self, found: EvaluationInput) -> DatasetResult:
        from echo_index.retriever.evaluation.datasets import BeirDataset, SentencePairs

        if isinstance(found, SentencePairs):
            return self._similarities(found)
        return self._rankings(found) if isinstance(found, BeirDataset) else self._answers(found)

    def _rankings(self, collection: BeirDataset) -> DatasetResult:
        from echo_index.retriever.evaluation.indexed_dataset import open_dataset
        from echo_index.retriever.evaluation.results import BASELINE
        from echo_index.retriever.evaluation.retrieval_systems import DEFAULT_SYSTEMS, SYSTEMS
        from echo_index.retriever.evaluation.runner import evaluate_rankings

        opened = open_dataset(
            collection,
            self.encoder,
            work=self.work,
            chunking=choose_chunking(None, None, before=None),
            instruction=self.options.instruction,
            progress=self.progress,
        )
        rows = [*self._chosen(SYSTEMS, DEFAULT_SYSTEMS, BASELINE), *(peer.system for peer in self._peers)]
        return evaluate_rankings(opened, rows, baseline=self.options.baseline or BASELINE)

    def _answers(self, file: QuestionFile) -> DatasetResult:
        from echo_index.retriever.evaluation.indexed_dataset import open_question_file
        from echo_index.retriever.evaluation.results import BASELINE
        from echo_index.retriever.evaluation.retrieval_systems import DEFAULT_SYSTEMS, SYSTEMS
        from echo_index.retriever.evaluation.runner import evaluate_rankings
        from echo_index.retriever.search.retriever import Retriever

        given = self.options.encoder
        if given.no_adapter or any(option is not None for option in (given.adapter, given.layer, given.precision)):
            raise SourceError(
                f"{file.path} is asked of the index in {self.options.index}, which has its own encoder.",
                remedy="Leave out --adapter, --no-adapter, --layer and --precision.",
            )
        retriever = Retriever.open(self.options.index, model=given.model, device=given.device, notice=self.notice)
        opened = open_question_file(
            file, retriever, work=self.work, instruction=self.options.instruction, progress=self.progress
        )
        rows = [*self._chosen(SYSTEMS, DEFAULT_SYSTEMS, BASELINE), *(peer.system for peer in self._peers)]
        return evaluate_rankings(opened, rows, baseline=self.options.baseline or BASELINE)

    def _similarities(self, pairs: SentencePairs) -> DatasetResult:
        from echo_index.retriever.evaluation.results import PAIR_BASELINE
        from echo_index.retriever.evaluation.runner import evaluate_similarities
        from echo_index.retriever.evaluation.similarity_methods import SIMILARITY_METHODS, embed_pairs

        baseline = self.options.baseline if self.options.baseline in SIMILARITY_METHODS else PAIR_BASELINE
        return evaluate_similarities(
            embed_pairs(pairs, self.encoder, work=self.work, progress=self.progress),
            [
                *self._chosen(SIMILARITY_METHODS, SIMILARITY_METHODS, PAIR_BASELINE),
                *(peer.pair_row for peer in self._peers),
            ],
            encoder=self.encoder.config(),
            baseline=baseline or PAIR_BASELINE,
        )

    def _chosen(self, rows: Mapping[str, T], usual: Iterable[str], baseline: str) -> list[T]:
        """Return the rows that are wanted; what they are compared with is always among them."""
        names = {*(self.options.rows or usual), self.options.baseline or baseline}
        return [row for name, row in rows.items() if name in names]

    @cached_property
    def encoder(self) -> EchoEncoder:
        """The encoder that the options ask for."""
        return open_encoder(self.options.encoder, before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=self.notice)

    @cached_property
    def work(self) -> Path:
        """The folder in which indexes and vectors are kept."""
        from echo_index.embeddings.runtime.cache import cache_folder

        return self.options.work or cache_folder() / "evaluation"

    @cached_property
    def _peers(self) -> list[SentenceTransformerBaseline]:
        from echo_index.retriever.evaluation.baselines import SentenceTransformerBaseline

        return [SentenceTransformerBaseline(name, work=self.work) for name in self.options.peers]
