"""Collect the facts about an index: its content, encoder, size and devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_index.app.services.formatting import approximate_search_line, byte_count

if TYPE_CHECKING:
    from echo_index.embeddings.runtime.devices import DeviceChoice
    from echo_index.indexer.catalog.catalog import Catalog
    from echo_index.indexer.generations.snapshot import Snapshot
    from echo_index.indexer.stores.index_reader import IndexDocuments, IndexReader
    from echo_index.indexer.vectors.placement import IndexDevice


_MAX_FIELDS = 20  # that are shown to people


def read_status(
    place: Path, *, device: DeviceChoice, index_device: IndexDevice, notice: Callable[[str], None]
) -> dict[str, Any]:
    """Return the facts of an index in a folder or a store, ready for JSON.

    Raises:
        IndexMissing: there is no index.
        IndexDamaged: the index cannot be read.
        DeviceError: a requested device is not available.
        StoreError: the store cannot be reached.
    """
    from echo_index.app.services.writers import choose_writer, installed_writers
    from echo_index.embeddings.models.bundled import bundled_answer_adapter
    from echo_index.embeddings.models.profiles import only_embeds
    from echo_index.embeddings.runtime.devices import choose_device
    from echo_index.indexer.stores.opening import open_index

    reader = open_index(place, index_device=index_device, notice=notice)
    facts = index_facts(reader, place)
    model_device = choose_device(device)
    model = str(reader.manifest.encoder["model"])
    writer = choose_writer(reader.manifest.encoder, model_device)
    writer_name = writer.name or model
    others = [*([] if only_embeds(reader.manifest.encoder) else [model]), *installed_writers(besides=model)]
    return {
        **facts,
        "device": {"name": model_device.name, "reason": model_device.reason},
        "writer": {
            "model": writer_name,
            "adapter": bundled_answer_adapter(writer_name) is not None,
            "reason": writer.reason,
        },
        "other_writers": [name for name in others if name != writer_name],
    }


def index_facts(reader: IndexReader, place: Path) -> dict[str, Any]:
    """Return the facts of an index that do not depend on the models of this machine, ready for JSON.

    What only an index in a folder has is None for one in a store.
    """
    from echo_index.indexer.generations.snapshot import Snapshot

    manifest, documents = reader.manifest, reader.documents
    counts = documents.counts()
    return {
        "generation": manifest.generation,
        "finished": manifest.finished,
        "documents": counts.documents,
        "chunks": counts.chunks,
        "text_bytes": counts.bytes,
        "formats": documents.formats(),
        "fields": documents.field_counts(),
        "encoder": manifest.encoder,
        "fingerprint": manifest.fingerprint,
        "chunking": manifest.chunking,
        "context": manifest.context,
        "space_passages": None if reader.normalization.is_identity else reader.normalization.passages,
        "ocr": ocr_facts(documents),
        "recognitions": documents.recognitions(),
        "skipped": asdict(documents.skipped()),
        "omissions": documents.omissions(),
        "failures": documents.failures(),
        **(_folder_facts(reader, place) if isinstance(reader, Snapshot) else _store_facts(reader, place)),
    }


def _folder_facts(snapshot: Snapshot, index_dir: Path) -> dict[str, Any]:
    from echo_index.indexer.stores.publishing import published_generation, remembered_store

    placement, store = snapshot.stored_vectors.placement, remembered_store(snapshot.catalog)
    described = snapshot.manifest.vector_index
    return {
        "index": str(index_dir.resolve()),
        "store": None if store is None else {"place": str(store), "generation": published_generation(snapshot.catalog)},
        "disk_bytes": _disk_bytes(index_dir),
        "bytes_by_part": bytes_by_part(index_dir, snapshot.catalog),
        "index_device": {"name": placement.device, "reason": placement.reason},
        "vectors": snapshot.stored_vectors.kind,
        "vector_index": None if described is None else asdict(described),
        "space_has_drifted": snapshot.normalization_has_drifted(),
    }


def _store_facts(reader: IndexReader, place: Path) -> dict[str, Any]:
    from echo_index.indexer.generations.manifest import read_manifest
    from echo_index.indexer.stores.location import StoreLocation, is_store

    is_here = not is_store(place)  # the list of its documents is
    location = read_manifest(place).store if is_here else str(StoreLocation.parse(str(place)))
    return {
        "index": str(place.resolve()) if is_here else location,
        "store": {"place": location, "generation": reader.manifest.generation},
        "disk_bytes": _disk_bytes(place) if is_here else None,
        "bytes_by_part": None,
        "index_device": None,
        "vectors": None,
        "vector_index": None,
        "space_has_drifted": None,
    }


def status_lines(status: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts as (label, text) pairs for people to read."""
    from echo_index.indexer.vectors.index_kind import IndexDescription

    encoder, chunking = status["encoder"], status["chunking"]
    formats = ", ".join(f"{count} {name}" for name, count in status["formats"].items())
    on_disk = "" if status["disk_bytes"] is None else f", {byte_count(status['disk_bytes'])} on disk"
    sizes = f"{byte_count(status['text_bytes'])} of text{on_disk}"
    lines = [
        ("Index", f"{status['index']}, generation {status['generation']} of {status['finished']}"),
        ("Documents", f"{status['documents']} ({formats})" if formats else str(status["documents"])),
        ("Passages", f"{status['chunks']}; {sizes}"),
        ("Model", f"{encoder['model']}, layer {encoder['layer']}, {encoder['pooling']} pooling, {encoder['dtype']}"),
        ("Answers", _writers_line(status)),
        ("Prompt", repr(encoder["document_prompt"])),
        ("Question", repr(encoder["query_prompt"])),
        ("Instruction", str(encoder["instruction"])),
        (
            "Cut at",
            f"{chunking['max_tokens']} tokens, {chunking['overlap_tokens']} of them shared with the previous passage",
        ),
        ("Device", f"{status['device']['name']} ({status['device']['reason']})"),
        ("Search", _search_line(status)),
    ]
    if status["vector_index"]:
        lines.append(("Found", approximate_search_line(IndexDescription.of(status["vector_index"]))))
    if parts := status["bytes_by_part"]:
        sizes = (
            f"vectors {byte_count(parts['vectors'])}, full text {byte_count(parts['full_text'])}, "
            f"text {byte_count(parts['text'])}, rest {byte_count(parts['rest'])}"
        )
        lines.insert(3, ("On disk", sizes))
    if status["context"]:
        lines.insert(2, ("Context", status["context"]))
    if status["fields"]:
        named = [f"{name} ({count})" for name, count in status["fields"].items()]
        more = f" and {len(named) - _MAX_FIELDS} more; all of them: --json" if len(named) > _MAX_FIELDS else ""
        lines.insert(2, ("Fields", ", ".join(named[:_MAX_FIELDS]) + more))
    if status["space_passages"]:
        text = f"estimated from {status['space_passages']} passages"
        drifted = "; the documents have changed since: echo-index build adapts it"
        lines.append(("Normalization", text + (drifted if status["space_has_drifted"] else "")))
    if encoder["adapter"]:
        lines.insert(4, ("Adapter", str(encoder["adapter"])))
    if status["store"] and status["index_device"]:
        lines.insert(1, ("Published", _store_line(status)))
    elif status["store"] and status["index"] != status["store"]["place"]:
        lines.insert(1, ("Stored", f"passages and vectors in {status['store']['place']} alone"))
    return lines


def bytes_by_part(index_dir: Path, catalog: Catalog) -> dict[str, int]:
    """Return the bytes of vectors, full text and text, and of the rest of the files: places, headings, free pages."""
    from echo_index.indexer.catalog.sizes import catalog_sizes

    sizes = catalog_sizes(catalog)
    vectors = sizes.vectors + sum(path.stat().st_size for path in index_dir.glob("vectors-*"))
    parts = {"vectors": vectors, "full_text": sizes.full_text, "text": sizes.text}
    return {**parts, "rest": _disk_bytes(index_dir) - sum(parts.values())}


def _disk_bytes(index_dir: Path) -> int:
    return sum(path.stat().st_size for path in index_dir.iterdir() if path.is_file())


def _search_line(status: dict[str, Any]) -> str:
    device = status["index_device"]
    return f"{status['vectors']}, on the {device['name']} ({device['reason']})" if device else "by the Milvus server"


def _store_line(status: dict[str, Any]) -> str:
    published, newest = status["store"]["generation"], status["generation"]
    behind = "" if published == newest else f"; the next build publishes generation {newest}"
    return f"to {status['store']['place']}, generation {published or 'none'}{behind}"


def ocr_facts(documents: IndexDocuments) -> dict[str, Any]:
    """Return whether builds recognize pictures, with which engine, and what lets them read more, ready for JSON."""
    from echo_index.indexer.documents.ocr.engine import installed_engine
    from echo_index.indexer.documents.recognition import ocr_hint

    engine, ocr = installed_engine(), documents.ocr
    hint = ocr_hint(documents.omissions(), documents.failures(), documents.skipped().unsupported, ocr=ocr)
    return {"on": ocr, "engine": engine.name if engine else None, "hint": hint}


def _writers_line(status: dict[str, Any]) -> str:
    writer = status["writer"]
    adapter = ", with its adapter for answers" if writer["adapter"] else ""
    others = "".join(f"; or --writer {name}" for name in status["other_writers"])
    return f"written by {writer['model']}{adapter} ({writer['reason']}){others}"
