"""Questions in, hits and answers out. Knows an index and its encoder, nothing of command lines or web pages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retriever.answer import AnswerStream, stream_answer
    from retriever.calibration import Calibration, Choice, Prompts, Trial, calibrate, views_together
    from retriever.chain import RagOutput, rag_chain
    from retriever.chat import EchoChatModel
    from retriever.citations import Answer, Citation
    from retriever.comparison import Comparison, PairSimilarity, Ranking, compare, compare_sentences
    from retriever.evaluation.collections import (
        BeirCollection,
        EvaluationInput,
        Question,
        QuestionFile,
        RightPassage,
        SentencePairs,
    )
    from retriever.evaluation.metrics import (
        METRICS,
        SPEARMAN,
        Difference,
        mean_difference,
        ranking_scores,
        refuse_missing_packages,
        spearman,
        spearman_difference,
    )
    from retriever.evaluation.opened import OpenedCollection, open_collection, open_question_file
    from retriever.evaluation.pair_rows import PAIR_ROWS, EmbeddedPairs, PairRow, embed_pairs
    from retriever.evaluation.peers import SentenceTransformerPeer
    from retriever.evaluation.reading import read_evaluation_input
    from retriever.evaluation.results import BASELINE, PAIR_BASELINE, CollectionResult, RowResult, compared, mean_scores
    from retriever.evaluation.rows import ROWS, USUAL_ROWS, Row
    from retriever.evaluation.run import evaluate_rankings, evaluate_similarities
    from retriever.fusion import reciprocal_rank_fusion
    from retriever.highlight import matching_sentence
    from retriever.hits import Hit, Place, Spot
    from retriever.langchain import EchoEmbeddings, EchoRetriever, hit_of
    from retriever.mteb_model import EchoMteb
    from retriever.pseudo_questions import SourcePassage
    from retriever.search import Mode, Retriever
    from retriever.sentence_transformer import teacher_of
    from retriever.tuning.files import read_pairs
    from retriever.tuning.from_index import pairs_of_index
    from retriever.tuning.negatives import with_hard_negatives

__all__ = [
    "BASELINE",
    "METRICS",
    "PAIR_BASELINE",
    "PAIR_ROWS",
    "ROWS",
    "SPEARMAN",
    "USUAL_ROWS",
    "Answer",
    "AnswerStream",
    "BeirCollection",
    "Calibration",
    "Choice",
    "Citation",
    "CollectionResult",
    "Comparison",
    "Difference",
    "EchoChatModel",
    "EchoEmbeddings",
    "EchoMteb",
    "EchoRetriever",
    "EmbeddedPairs",
    "EvaluationInput",
    "Hit",
    "Mode",
    "OpenedCollection",
    "PairRow",
    "PairSimilarity",
    "Place",
    "Prompts",
    "Question",
    "QuestionFile",
    "RagOutput",
    "Ranking",
    "Retriever",
    "RightPassage",
    "Row",
    "RowResult",
    "SentencePairs",
    "SentenceTransformerPeer",
    "SourcePassage",
    "Spot",
    "Trial",
    "calibrate",
    "compare",
    "compare_sentences",
    "compared",
    "embed_pairs",
    "evaluate_rankings",
    "evaluate_similarities",
    "hit_of",
    "matching_sentence",
    "mean_difference",
    "mean_scores",
    "open_collection",
    "open_question_file",
    "pairs_of_index",
    "rag_chain",
    "ranking_scores",
    "read_evaluation_input",
    "read_pairs",
    "reciprocal_rank_fusion",
    "refuse_missing_packages",
    "spearman",
    "spearman_difference",
    "stream_answer",
    "teacher_of",
    "views_together",
    "with_hard_negatives",
]

_HOMES = {
    "Choice": "calibration",
    "SourcePassage": "pseudo_questions",
    "Prompts": "calibration",
    "Trial": "calibration",
    "Calibration": "calibration",
    "calibrate": "calibration",
    "views_together": "calibration",
    "Answer": "citations",
    "AnswerStream": "answer",
    "BASELINE": "evaluation.results",
    "BeirCollection": "evaluation.collections",
    "Citation": "citations",
    "CollectionResult": "evaluation.results",
    "Comparison": "comparison",
    "Difference": "evaluation.metrics",
    "EchoChatModel": "chat",
    "EchoEmbeddings": "langchain",
    "EchoMteb": "mteb_model",
    "EchoRetriever": "langchain",
    "EmbeddedPairs": "evaluation.pair_rows",
    "EvaluationInput": "evaluation.collections",
    "Hit": "hits",
    "METRICS": "evaluation.metrics",
    "Mode": "search",
    "OpenedCollection": "evaluation.opened",
    "PAIR_BASELINE": "evaluation.results",
    "PAIR_ROWS": "evaluation.pair_rows",
    "PairRow": "evaluation.pair_rows",
    "PairSimilarity": "comparison",
    "Place": "hits",
    "Spot": "hits",
    "Question": "evaluation.collections",
    "QuestionFile": "evaluation.collections",
    "ROWS": "evaluation.rows",
    "USUAL_ROWS": "evaluation.rows",
    "RagOutput": "chain",
    "Ranking": "comparison",
    "Retriever": "search",
    "RightPassage": "evaluation.collections",
    "Row": "evaluation.rows",
    "RowResult": "evaluation.results",
    "SPEARMAN": "evaluation.metrics",
    "SentencePairs": "evaluation.collections",
    "SentenceTransformerPeer": "evaluation.peers",
    "compare": "comparison",
    "compare_sentences": "comparison",
    "compared": "evaluation.results",
    "embed_pairs": "evaluation.pair_rows",
    "evaluate_rankings": "evaluation.run",
    "evaluate_similarities": "evaluation.run",
    "hit_of": "langchain",
    "matching_sentence": "highlight",
    "mean_difference": "evaluation.metrics",
    "mean_scores": "evaluation.results",
    "open_collection": "evaluation.opened",
    "open_question_file": "evaluation.opened",
    "rag_chain": "chain",
    "ranking_scores": "evaluation.metrics",
    "read_evaluation_input": "evaluation.reading",
    "reciprocal_rank_fusion": "fusion",
    "refuse_missing_packages": "evaluation.metrics",
    "spearman": "evaluation.metrics",
    "spearman_difference": "evaluation.metrics",
    "stream_answer": "answer",
    "pairs_of_index": "tuning.from_index",
    "read_pairs": "tuning.files",
    "teacher_of": "sentence_transformer",
    "with_hard_negatives": "tuning.negatives",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'retriever' has no attribute {name!r}")
    return getattr(import_module(f"retriever.{_HOMES[name]}"), name)
