"""Choose among the served indexes: some of them to search, or one to look into. A single one leaves no choice."""

from __future__ import annotations

import gradio as gr

from echo_index.app.services.collections import Collection
from echo_index.app.services.index_service import IndexService

_MAX_ABOUT = 60  # characters of what a collection is about


def collections_input(service: IndexService) -> gr.Dropdown:
    """Return the dropdown for the collections to search; none chosen means all."""
    return gr.Dropdown(
        _choices(service), label="Only in these collections", multiselect=True, visible=service.has_several
    )


def collection_input(service: IndexService, *, elem_id: str) -> gr.Dropdown:
    """Return the dropdown for one collection, at first that which is named first."""
    return gr.Dropdown(
        _choices(service),
        value=service.collections[0].name,
        label="Collection",
        visible=service.has_several,
        elem_id=elem_id,
    )


def _choices(service: IndexService) -> list[tuple[str, str]]:
    return [(_label(collection), collection.name) for collection in service.collections]


def _label(collection: Collection) -> str:
    """Return "work – notes of the office"."""
    about = collection.about if len(collection.about) <= _MAX_ABOUT else f"{collection.about[:_MAX_ABOUT].rstrip()}…"
    return f"{collection.name} – {about}" if about else collection.name
