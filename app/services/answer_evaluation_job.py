"""Measure the answers of writers: read the questions, open the index, and let each writer answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.encoder_factory import EncoderOptions, Notice, choose_chunking, open_encoder
from echo_index.app.services.evaluation_job import Progress, require_encoder_of_index
from echo_index.app.services.external_llm import answering, open_llm, redact
from echo_index.app.services.result_files import write_text
from echo_index.app.services.writers import chat_model_of, local_writer, own_writer
from echo_index.errors import SourceError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from echo_index.retriever.answer_evaluation.answer_questions import AnswerQuestion
    from echo_index.retriever.answer_evaluation.answer_results import AnswerReport, WriterResult
    from echo_index.retriever.search.retriever import Retriever


@dataclass(frozen=True)
class AnswerEvaluationOptions:
    """Options of an evaluation of answers; None means not given.

    Attributes:
        corpus: Folder in BEIR's layout that is indexed; None for the index in `index`.
        limit: How many questions are asked, from all parts of the file.
        writers: Names of local models that answer; none of any kind means the model of the index.
        plain_writers: Names of local models that answer without their adapters for answers.
        llms: Names of external language models that answer, too.
        passages: How many passages a writer is given; None for as many as `ask` gives it by itself.
        work: Folder for indexes and for what the writers wrote.
    """

    corpus: Path | None = None
    index: Path = DEFAULTS.index_dir
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    limit: int | None = None
    writers: tuple[str, ...] = ()
    plain_writers: tuple[str, ...] = ()
    llms: tuple[str, ...] = ()
    passages: int | None = None
    work: Path | None = None


def evaluate_answers(
    file: Path,
    options: AnswerEvaluationOptions,
    *,
    notice: Notice,
    progress: Progress = lambda doing, done, total: None,
) -> AnswerReport:
    """Measure the answers to the questions in a file.

    What a writer wrote is stored below `work` at once, and not written again by another run.

    Raises:
        SourceError: the file or the corpus cannot be read, or a document is not in the index.
        ModelError: a model cannot be opened, or failed.
        EchoIndexError: an index cannot be read or written.
    """
    from echo_index.retriever.answer_evaluation.answer_results import AnswerReport

    questions, retriever = open_questions(file, options, notice=notice, progress=progress)
    work = _work_folder(options)
    results = []
    for name, open_model in _writers(options, retriever, notice):
        with answering(name if name in options.llms else None):
            model = open_model()
            results.append(
                _evaluate_writer(name, model, questions, retriever, options=options, work=work, progress=progress)
            )
        answers = work / "answers" / f"{file.stem}-{_file_name(name)}.jsonl"
        _write_records(answers, results[-1])
        notice(f"The answers of {results[-1].writer} are in {answers}.")
    manifest = retriever.snapshot.manifest
    return AnswerReport(
        name=file.stem,
        source=str(file),
        documents=manifest.documents,
        passages=manifest.chunks,
        passages_given=options.passages,
        questions=len(questions),
        writers=tuple(results),
    )


def open_questions(
    file: Path, options: AnswerEvaluationOptions, *, notice: Notice, progress: Progress
) -> tuple[tuple[AnswerQuestion, ...], Retriever]:
    """Read the questions in a file, and open the index of the documents that they name.

    Raises:
        SourceError: the file or the corpus cannot be read, or a document is not in the index.
        ModelError, EchoIndexError: the model or an index cannot be opened.
    """
    from echo_index.retriever.answer_evaluation.answer_questions import read_answer_questions

    questions = read_answer_questions(file, limit=options.limit)
    if options.corpus is None:
        require_encoder_of_index(options.encoder, file, index=options.index)
    retriever = _open_retriever(options, _work_folder(options), notice, progress)
    _validate_documents(file, questions, retriever)
    return questions, retriever


def _work_folder(options: AnswerEvaluationOptions) -> Path:
    from echo_index.embeddings.runtime.cache import cache_folder

    return options.work or cache_folder() / "evaluation"


def _writers(
    options: AnswerEvaluationOptions, retriever: Retriever, notice: Notice
) -> Iterator[tuple[str, Callable[[], BaseChatModel]]]:
    """Yield the name of each writer and how it is opened; one at a time, as each takes memory."""
    for name in options.writers:
        yield name, partial(_open_writer, name, True, options, notice)
    for name in options.plain_writers:
        yield f"{name}, plain", partial(_open_writer, name, False, options, notice)
    for name in options.llms:
        notice(f"The questions and the passages that are found are sent to {redact(name)}.")
        yield name, partial(open_llm, name)
    if not options.writers and not options.plain_writers and not options.llms:
        yield retriever.encoder.model.name, lambda: chat_model_of(own_writer(retriever))


def _open_writer(name: str, with_adapter: bool, options: AnswerEvaluationOptions, notice: Notice) -> BaseChatModel:
    writer = local_writer(name, with_adapter=with_adapter, device=options.encoder.device, notice=notice)
    return chat_model_of(writer)


def _open_retriever(options: AnswerEvaluationOptions, work: Path, notice: Notice, progress: Progress) -> Retriever:
    from echo_index.retriever.evaluation.dataset_loader import read_corpus
    from echo_index.retriever.evaluation.indexed_dataset import open_dataset
    from echo_index.retriever.search.retriever import Retriever

    encoder = options.encoder
    if options.corpus is None:
        return Retriever.open(options.index, model=encoder.model, device=encoder.device, notice=notice)
    dataset = open_dataset(
        read_corpus(options.corpus),
        open_encoder(encoder, before=None, chunk_tokens=DEFAULTS.chunk_tokens, notice=notice),
        work=work,
        chunking=choose_chunking(None, None, before=None),
        progress=progress,
    )
    return dataset.retriever


def _validate_documents(file: Path, questions: tuple[AnswerQuestion, ...], retriever: Retriever) -> None:
    from echo_index.indexer.inspection.document_queries import list_documents

    with retriever.snapshot.reading():
        known = {document.path for document in list_documents(retriever.snapshot)}
    for question in questions:
        for document in question.documents:
            if document not in known:
                raise SourceError(
                    f"Line {question.line} of {file} names {document!r}, which is not in the index.",
                    remedy="Name documents as echo-index search shows them, or name the collection as INPUT.",
                )


def _evaluate_writer(
    name: str,
    model: BaseChatModel,
    questions: tuple[AnswerQuestion, ...],
    retriever: Retriever,
    *,
    options: AnswerEvaluationOptions,
    work: Path,
    progress: Progress,
) -> WriterResult:
    from echo_index.retriever.answer_evaluation.answer_results import summarize
    from echo_index.retriever.answer_evaluation.answer_runner import answer_questions
    from echo_index.retriever.answer_evaluation.answer_store import AnswerStore
    from echo_index.retriever.rag.chat_model import EchoChatModel

    local = model.fingerprint if isinstance(model, EchoChatModel) else ""
    key = hashlib.sha256(f"{name} {local}".encode()).hexdigest()[:16]
    shown = redact(name)
    with AnswerStore(work / "answers" / "written" / f"{_file_name(name)}-{key}.jsonl") as store:
        records = answer_questions(
            questions,
            retriever,
            model,
            passages=options.passages,
            store=store,
            progress=lambda doing, done, total: progress(f"{shown}: {doing}", done, total),
        )
        return summarize(shown, tuple(records))


def _write_records(path: Path, result: WriterResult) -> None:
    lines = (json.dumps(asdict(record), ensure_ascii=False) for record in result.records)
    write_text(path, "".join(f"{line}\n" for line in lines))


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-")[-60:]
