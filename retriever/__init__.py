"""Questions in, hits and answers out. Knows an index and its encoder, nothing of command lines or web pages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retriever.answer import AnswerStream, stream_answer
    from retriever.calibration import Calibration, Choice, Prompts, Trial, calibrate
    from retriever.chain import RagOutput, rag_chain
    from retriever.chat import EchoChatModel
    from retriever.citations import Answer, Citation
    from retriever.comparison import Comparison, PairSimilarity, Ranking, compare, compare_sentences
    from retriever.fusion import reciprocal_rank_fusion
    from retriever.highlight import matching_sentence
    from retriever.hits import Hit, Place
    from retriever.langchain import EchoEmbeddings, EchoRetriever, hit_of
    from retriever.mteb_model import EchoMteb
    from retriever.pseudo_questions import SourcePassage
    from retriever.search import Mode, Retriever

__all__ = [
    "Answer",
    "AnswerStream",
    "Calibration",
    "Choice",
    "Citation",
    "Comparison",
    "EchoChatModel",
    "EchoEmbeddings",
    "EchoMteb",
    "EchoRetriever",
    "Hit",
    "Mode",
    "PairSimilarity",
    "Place",
    "Prompts",
    "RagOutput",
    "Ranking",
    "Retriever",
    "SourcePassage",
    "Trial",
    "calibrate",
    "compare",
    "compare_sentences",
    "hit_of",
    "matching_sentence",
    "rag_chain",
    "reciprocal_rank_fusion",
    "stream_answer",
]

_HOMES = {
    "Choice": "calibration",
    "SourcePassage": "pseudo_questions",
    "Prompts": "calibration",
    "Trial": "calibration",
    "Calibration": "calibration",
    "calibrate": "calibration",
    "Answer": "citations",
    "AnswerStream": "answer",
    "Citation": "citations",
    "Comparison": "comparison",
    "EchoChatModel": "chat",
    "EchoEmbeddings": "langchain",
    "EchoMteb": "mteb_model",
    "EchoRetriever": "langchain",
    "Hit": "hits",
    "Mode": "search",
    "PairSimilarity": "comparison",
    "Place": "hits",
    "RagOutput": "chain",
    "Ranking": "comparison",
    "Retriever": "search",
    "compare": "comparison",
    "compare_sentences": "comparison",
    "hit_of": "langchain",
    "matching_sentence": "highlight",
    "rag_chain": "chain",
    "reciprocal_rank_fusion": "fusion",
    "stream_answer": "answer",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module 'retriever' has no attribute {name!r}")
    return getattr(import_module(f"retriever.{_HOMES[name]}"), name)
