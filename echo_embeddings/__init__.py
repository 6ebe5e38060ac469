"""Echo embeddings: a causal language model reads a text twice, and the second reading is pooled into a unit vector.

The method of "Repetition Improves Language Model Embeddings" (arXiv 2402.15449), for any causal model that
transformers loads. Knows nothing of files, indexes or LangChain.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echo_embeddings.chat_format import COMPLETION_END, Message, conversation_tokens
    from echo_embeddings.devices import Device, DeviceChoice, choose_device
    from echo_embeddings.embedded import DEFAULT_MODEL, EMBEDDED_MODELS
    from echo_embeddings.encoder import EchoEncoder, PrecisionChoice, Progress
    from echo_embeddings.generation import Generation, generate
    from echo_embeddings.geometry import (
        Vectors,
        dominant_directions,
        inner_product_table,
        remove_directions,
        remove_mean,
        unit_rows,
        weaken_directions,
        wording_directions,
    )
    from echo_embeddings.likelihood import QueryLikelihood
    from echo_embeddings.likelihood_prompt import LikelihoodPrompt
    from echo_embeddings.linear import Precision, bfloat16_is_fast
    from echo_embeddings.models import LanguageModel, load_model
    from echo_embeddings.nearest import NearestRows
    from echo_embeddings.pooling import Pooling
    from echo_embeddings.prompts import CLASSICAL, TUNED_DOCUMENT, TUNED_QUERY, ZERO_SHOT, EchoPrompt
    from echo_embeddings.readings import Readings
    from echo_embeddings.storage import cache_folder, write_remembered
    from echo_embeddings.tuning.head import HeadOptions, tune_head
    from echo_embeddings.tuning.log import TUNING_LOG, TuningStep
    from echo_embeddings.tuning.pairs import TrainingPair
    from echo_embeddings.tuning.training import Teacher, TuningOptions, tune
    from echo_embeddings.turns import in_turn
    from echo_embeddings.views import Copy, View, parse_views

__all__ = [
    "CLASSICAL",
    "COMPLETION_END",
    "DEFAULT_MODEL",
    "EMBEDDED_MODELS",
    "TUNED_DOCUMENT",
    "TUNED_QUERY",
    "TUNING_LOG",
    "ZERO_SHOT",
    "Copy",
    "Device",
    "DeviceChoice",
    "EchoEncoder",
    "EchoPrompt",
    "Generation",
    "HeadOptions",
    "LanguageModel",
    "LikelihoodPrompt",
    "Message",
    "NearestRows",
    "Pooling",
    "Precision",
    "PrecisionChoice",
    "Progress",
    "QueryLikelihood",
    "Readings",
    "Teacher",
    "TrainingPair",
    "TuningOptions",
    "TuningStep",
    "Vectors",
    "View",
    "bfloat16_is_fast",
    "cache_folder",
    "choose_device",
    "conversation_tokens",
    "dominant_directions",
    "generate",
    "in_turn",
    "inner_product_table",
    "load_model",
    "parse_views",
    "remove_directions",
    "remove_mean",
    "tune",
    "tune_head",
    "unit_rows",
    "weaken_directions",
    "wording_directions",
    "write_remembered",
]

_HOMES = {
    "remove_directions": "geometry",
    "dominant_directions": "geometry",
    "inner_product_table": "geometry",
    "unit_rows": "geometry",
    "weaken_directions": "geometry",
    "wording_directions": "geometry",
    "write_remembered": "storage",
    "cache_folder": "storage",
    "CLASSICAL": "prompts",
    "COMPLETION_END": "chat_format",
    "Copy": "views",
    "DEFAULT_MODEL": "embedded",
    "EMBEDDED_MODELS": "embedded",
    "TUNED_DOCUMENT": "prompts",
    "TUNED_QUERY": "prompts",
    "ZERO_SHOT": "prompts",
    "Device": "devices",
    "DeviceChoice": "devices",
    "EchoEncoder": "encoder",
    "EchoPrompt": "prompts",
    "Generation": "generation",
    "LanguageModel": "models",
    "LikelihoodPrompt": "likelihood_prompt",
    "Message": "chat_format",
    "NearestRows": "nearest",
    "Pooling": "pooling",
    "Precision": "linear",
    "bfloat16_is_fast": "linear",
    "PrecisionChoice": "encoder",
    "Progress": "encoder",
    "QueryLikelihood": "likelihood",
    "Readings": "readings",
    "TUNING_LOG": "tuning.log",
    "Teacher": "tuning.training",
    "TrainingPair": "tuning.pairs",
    "TuningOptions": "tuning.training",
    "TuningStep": "tuning.log",
    "tune": "tuning.training",
    "tune_head": "tuning.head",
    "HeadOptions": "tuning.head",
    "Vectors": "geometry",
    "View": "views",
    "choose_device": "devices",
    "conversation_tokens": "chat_format",
    "generate": "generation",
    "in_turn": "turns",
    "load_model": "models",
    "parse_views": "views",
    "remove_mean": "geometry",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: torch takes a second, and not every command needs it."""
    if name not in _HOMES:
        raise AttributeError(f"module 'echo_embeddings' has no attribute {name!r}")
    return getattr(import_module(f"echo_embeddings.{_HOMES[name]}"), name)
