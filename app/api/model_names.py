"""The models that clients name: one for each task, and each model that writes answers."""

from __future__ import annotations

import time
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from echo_index.app.api.errors import ApiError, error_responses
from echo_index.app.services.external_llm import redact
from echo_index.app.services.index_service import OWN_MODEL, IndexService

DOCUMENT_MODEL = "echo-document"
QUERY_MODEL = "echo-query"
ANSWER_MODEL = "echo-answer"
RERANK_MODEL = "echo-rerank"


class Model(BaseModel):
    """A model that a request can name."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "echo-index"


class ModelList(BaseModel):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]


def writer_names(service: IndexService) -> dict[str, str | None]:
    """Return the models that write answers by the names that clients use; None is the default writer."""
    others = {redact(name): name for name in (*service.writers, *service.options.llms) if name != OWN_MODEL}
    return {ANSWER_MODEL: None, **others}


def unknown_model(name: str, known: list[str]) -> ApiError:
    """Return the error of a request that names a model that does not exist."""
    message = f"There is no model {name[:80]!r} here. There are {', '.join(known)}."
    return ApiError(404, message, param="model", code="model_not_found")


def models_router(service: IndexService) -> APIRouter:
    """Return the routes that list models."""
    router = APIRouter(prefix="/v1/models", tags=["models"])
    started = int(time.time())

    def models() -> dict[str, Model]:
        names = (DOCUMENT_MODEL, QUERY_MODEL, RERANK_MODEL, *writer_names(service))
        return {name: Model(id=name, created=started) for name in names}

    @router.get("", responses=error_responses())
    def list_models() -> ModelList:
        """List the models."""
        return ModelList(data=[*models().values()])

    @router.get("/{model:path}", responses=error_responses(404))
    def read_model(model: str) -> Model:
        """Return one model."""
        known = models()
        if model not in known:
            raise unknown_model(model, [*known])
        return known[model]

    return router
