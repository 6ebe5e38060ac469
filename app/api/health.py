"""Tell whether the model is loaded, for whoever watches the server."""

from __future__ import annotations

from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import JSONResponse

from echo_index.app.services.index_service import IndexService

READY_PATH = "/healthz"


class Health(BaseModel):
    """Whether requests wait for the model to be loaded."""

    status: Literal["ready", "starting"]


def add_health(app: FastAPI, service: IndexService) -> None:
    """Add the route, which needs no key."""

    @app.get(
        READY_PATH,
        tags=["server"],
        response_model=Health,
        responses={503: {"model": Health, "description": "Starting"}},
    )
    def ready() -> JSONResponse:
        """Return status 200 when the model is loaded, 503 before."""
        state = "ready" if service.ready else "starting"
        return JSONResponse({"status": state}, status_code=200 if service.ready else 503)
