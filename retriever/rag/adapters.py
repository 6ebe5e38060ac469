"""LangChain adapters: EchoEmbeddings for the encoder, EchoRetriever for the search."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, TypeAdapter, ValidationError

from echo_index.embeddings.encoder import EchoEncoder, PrecisionChoice, Progress
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.embeddings.vectors.vector_ops import Vectors
from echo_index.errors import IndexMismatch
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.conditions.parser import parse_condition
from echo_index.indexer.conditions.tree import AllOf, Condition
from echo_index.indexer.documents.chunking import with_table_header
from echo_index.indexer.vectors.placement import IndexDevice
from echo_index.retriever.search.collections_retriever import CollectionsRetriever
from echo_index.retriever.search.hits import Hit, Location
from echo_index.retriever.search.neighbours import join_neighbours
from echo_index.retriever.search.retriever import Retriever
from echo_index.retriever.search.searcher import Mode, Searcher

_HITS = TypeAdapter(Hit)
_LOCATIONS = TypeAdapter(Location)


class EchoEmbeddings(BaseModel, Embeddings):
    """Echo embeddings for any LangChain vector store; documents and queries each have their own prompt.

    Settings that are not given come from the model's profile. The model is loaded at the first text and shared with
    every other component that uses it. Vectors have length one: cosine and inner product rank alike.

    Raises (when it embeds):
        ModelError: the model or layer does not exist.
        PromptError: a prompt cannot be used.
        TextError: a text is empty.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    model: str = DEFAULT_MODEL
    """Name of an embedded model, folder, GGUF file or hub id."""
    adapter: Path | Literal["own"] | None = "own"
    """Folder of an adapter, or "own" for the one that is shipped for the model, if any."""
    device: DeviceChoice = "auto"
    instruction: str | None = None
    """The task of the queries, in words."""
    document_prompt: str | None = None
    """Template with the slots {text} and {echo}."""
    query_prompt: str | None = None
    """Template with the slots {instruction}, {text} and {echo}."""
    pooling: Pooling | None = None
    layer: Annotated[int, Field(ge=1)] | str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a text; longer texts are truncated."""
    precision: PrecisionChoice = "fp32"
    """Precision of the matrix products. Do not mix vectors of different precisions."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a batch, with padding."""
    progress: Progress | None = Field(default=None, exclude=True, repr=False)
    """Called with the number of embedded documents and their total."""
    encoder: InstanceOf[EchoEncoder] | None = Field(default=None, exclude=True, repr=False)
    """An existing encoder, used instead of the settings above."""

    def model_post_init(self, context: Any) -> None:
        """Take the model name from an existing encoder."""
        if self.encoder is not None:
            self.model = self.encoder.model.name

    def load(self) -> EchoEncoder:
        """Return the encoder; it is created at first use."""
        if self.encoder is None:
            encoder = EchoEncoder(
                load_model(self.model, adapter=self.adapter, device=self.device),
                document_prompt=None if self.document_prompt is None else EchoPrompt(self.document_prompt),
                query_prompt=None if self.query_prompt is None else EchoPrompt(self.query_prompt),
                pooling=self.pooling,
                layer=self.layer,
                max_tokens=self.max_tokens,
                instruction=self.instruction,
                batch_tokens=self.batch_tokens,
            )
            self.encoder = encoder.with_precision(self.precision)
        return self.encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a unit vector for each text."""
        vectors = self.load().encode_documents(texts, progress=self.progress)
        return cast("list[list[float]]", vectors.tolist())

    def embed_query(self, text: str) -> list[float]:
        """Return the unit vector of a query, embedded with the instruction."""
        return cast("list[float]", self.load().encode_queries([text])[0].tolist())


class EchoRetriever(BaseRetriever):
    """Chunks of an index on disk, or of several, as LangChain documents, best first.

    The index is opened at once; its model is loaded at the first dense search and shared with every other component
    that uses it. The next search uses a new generation of the index, even one that was built with another model. `k`
    and a `filter`, which restricts the search in addition to `where`, can also be passed to a call:
    `retriever.invoke("…", k=3, filter="year >= 2024")`. The filter is a condition as a text, or one that
    `EchoTranslator` returns.

    Raises:
        IndexMissing, IndexDamaged, FilterError: on construction.
        QuestionError, ModelError, IndexMismatch: on search.
    """

    index_dir: Path = Path(".echo-index")
    collections: dict[str, Path] = Field(default_factory=dict)
    """Indexes to search as one instead of `index_dir`, by the names that their chunks have in `collection`."""
    k: int = Field(default=5, ge=1)
    mode: Mode = "hybrid"
    instruction: str | None = None
    """The task in words, for the embedding of queries."""
    paths: tuple[str, ...] = ()
    """Search only these documents or folders, or those that match one of these globs."""
    formats: tuple[str, ...] = ()
    """Search only documents of these formats."""
    since: str | None = None
    """Search only files that were changed on this date or later, such as "2024-05" or "7 days"."""
    before: str | None = None
    """Search only files that were changed before this date."""
    where: str | Condition | None = None
    """Search only documents whose fields meet this condition: 'date >= 2024 and author = "Ng"'."""
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None
    """Minimum `Hit.relevance`, which is comparable between searches and indexes; not for lexical search."""
    rerank: Annotated[int, Field(ge=0)] = 0
    """How many of the best hits are reranked by query likelihood."""
    group: bool = False
    """Leave out hits that say word for word what a better one says, and list them in the metadata `alike`."""
    exact: bool = False
    """Return only chunks with the text in quotation marks word for word, or the whole query if it has none."""
    join: bool = False
    """Return chunks that follow each other in one section as one document, as `ask` on the command line does."""
    score_threshold: float | None = None
    """Minimum `Hit.score`: a cosine (dense), BM25 (lexical) or the fused score (hybrid, or reranked)."""
    device: DeviceChoice = "auto"
    index_device: IndexDevice = "auto"
    retriever: InstanceOf[Searcher] | None = Field(default=None, exclude=True, repr=False)
    """An open retriever; its devices are used, and its folder unless `index_dir` or `collections` name others."""

    def model_post_init(self, context: Any) -> None:
        """Open the index, so that a wrong folder or filter is an error at once."""
        self._filter(None)
        if self.retriever is None or not self._searches_named_folders(self.retriever):
            self.retriever = self._open()
        if isinstance(self.retriever, Retriever):
            self.index_dir = self.retriever.index_dir

    def embed_sentences(self, sentences: list[str]) -> Vectors:
        """Return the unit vectors of sentences, shape (sentences, dimension), as `Retriever.embed_sentences` does."""
        return (self.retriever or self._open()).embed_sentences(sentences)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        filter: str | Condition | None = None,
    ) -> list[Document]:
        where = self._filter(filter)
        try:
            hits = self._search(query, k, where)
        except IndexMismatch:
            self.retriever = self._open()  # it was rebuilt with another model
            hits = self._search(query, k, where)
        threshold = self.score_threshold
        return [document_from_hit(hit) for hit in hits if threshold is None or hit.score >= threshold]

    def _filter(self, more: str | Condition | None) -> SearchFilter:
        """Return the filter of a search; dates such as "7 days" are relative to now."""
        where = SearchFilter.parse(paths=self.paths, formats=self.formats, since=self.since, before=self.before)
        given = (parse_condition(each) if isinstance(each, str) else each for each in (self.where, more))
        conditions = tuple(condition for condition in given if condition is not None)
        return replace(where, where=AllOf(conditions)) if conditions else where

    def _search(self, query: str, k: int | None, where: SearchFilter) -> list[Hit]:
        retriever = self.retriever or self._open()
        hits = retriever.search(
            query,
            k=self.k if k is None else k,
            mode=self.mode,
            instruction=self.instruction,
            where=where,
            min_score=self.min_score,
            rerank=self.rerank,
            group=self.group,
            exact=self.exact,
        )
        return join_neighbours(hits) if self.join else hits

    def _searches_named_folders(self, retriever: Searcher) -> bool:
        """Return whether an open retriever searches the folders that the fields name, if they name any."""
        if self.collections:
            indexes = {}
            if isinstance(retriever, CollectionsRetriever):
                indexes = {name: each.index_dir for name, each in retriever.retrievers.items()}
            return indexes == self.collections
        is_elsewhere = isinstance(retriever, Retriever) and retriever.index_dir != self.index_dir
        return not ("index_dir" in self.model_fields_set and is_elsewhere)

    def _open(self) -> Searcher:
        if self.collections:
            return CollectionsRetriever.open(self.collections, device=self.device, index_device=self.index_device)
        return Retriever.open(self.index_dir, device=self.device, index_device=self.index_device)


def document_from_hit(hit: Hit) -> Document:
    """Return a hit as a LangChain document: its full text, and all other fields as JSON-compatible metadata.

    `location` in the metadata is where the answering sentence stands.
    """
    metadata = _HITS.dump_python(hit, mode="json", exclude={"text"})
    metadata["alike"] = metadata.pop("duplicates")  # the public key of the field
    metadata["location"] = _LOCATIONS.dump_python(hit.location, mode="json")
    place = f"{hit.source}:{hit.start}-{hit.end}"
    return Document(hit.full_text, id=f"{hit.collection}:{place}" if hit.collection else place, metadata=metadata)


def hit_from_document(document: Document) -> Hit:
    """Return a document as a hit; documents of other retrievers have only text, source and title."""
    fields = {name: value for name, value in document.metadata.items() if name != "location"}
    header = with_table_header(str(fields.get("table_header") or ""), "")
    fields["text"] = document.page_content.removeprefix(header)
    fields["duplicates"] = fields.pop("alike", ())
    try:
        return _HITS.validate_python(fields)
    except ValidationError:
        source = str(document.metadata.get("source") or document.id or "")
        title = str(document.metadata.get("title") or source)
        text = document.page_content
        return Hit(text, source, title, (), "", 0, len(text), None, None, 0.0, None, None)
