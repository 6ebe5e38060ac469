"""EchoEmbeddings and EchoRetriever: the encoder and the search as LangChain knows such parts. Adapts, adds nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, TypeAdapter, ValidationError

from echo_index.embeddings.encoder import EchoEncoder, PrecisionChoice, Progress
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.language_model import load_model
from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import IndexMismatch
from echo_index.indexer.catalog.records import SearchFilter
from echo_index.indexer.vectors.faiss_index import IndexDevice
from echo_index.retriever.search.hits import Hit
from echo_index.retriever.search.retriever import Mode, Retriever

_HITS = TypeAdapter(Hit)


class EchoEmbeddings(BaseModel, Embeddings):
    """Echo embeddings for any LangChain vector store; documents and queries each have their own prompt.

    What is left out is taken from the model's profile. The model is loaded at the first text, and shared with every
    other part that uses it. Vectors have length one: cosine and inner product rank alike.

    Raises (when it embeds):
        ModelError: there is no such model or layer.
        PromptError: a prompt cannot be used.
        TextError: a text is empty.
    """

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())

    model: str = DEFAULT_MODEL
    """An embedded model's name, a folder, a GGUF file or a hub id."""
    adapter: Path | Literal["own"] | None = "own"
    """An adapter's folder; "own" is the one that comes along for the model, if there is one."""
    device: DeviceChoice = "auto"
    instruction: str | None = None
    """The task of the questions, in words."""
    document_prompt: str | None = None
    """A template with {text} and {echo}."""
    query_prompt: str | None = None
    """A template with {instruction}, {text} and {echo}."""
    pooling: Pooling | None = None
    layer: Annotated[int, Field(ge=1)] | str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of each copy of a text; what is longer is cut."""
    precision: PrecisionChoice = "fp32"
    """Of the matrix products: vectors of different precisions should not be mixed."""
    batch_tokens: int | None = Field(default=None, ge=1)
    """The most tokens of one batch, padding included."""
    progress: Progress | None = Field(default=None, exclude=True, repr=False)
    """Told how many documents are embedded, of how many."""
    encoder: InstanceOf[EchoEncoder] | None = Field(default=None, exclude=True, repr=False)
    """An encoder that there is already; the settings above are its own then."""

    def model_post_init(self, context: Any) -> None:
        """Take the name of the model of the encoder that there is already."""
        if self.encoder is not None:
            self.model = self.encoder.model.name

    def load(self) -> EchoEncoder:
        """Return the encoder, made when it is first needed."""
        if self.encoder is None:
            self.encoder = EchoEncoder(
                load_model(self.model, adapter=self.adapter, device=self.device),
                document_prompt=None if self.document_prompt is None else EchoPrompt(self.document_prompt),
                query_prompt=None if self.query_prompt is None else EchoPrompt(self.query_prompt),
                pooling=self.pooling,
                layer=self.layer,
                max_tokens=self.max_tokens,
                instruction=self.instruction,
                precision=self.precision,
                batch_tokens=self.batch_tokens,
            )
        return self.encoder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Return a vector of length one for each text, in their order."""
        vectors = self.load().encode_documents(texts, progress=self.progress)
        return cast("list[list[float]]", vectors.tolist())

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of a question, embedded with the task's instruction."""
        return cast("list[float]", self.load().encode_queries([text])[0].tolist())


class EchoRetriever(BaseRetriever):
    """Passages of an index on disk as LangChain documents, best first.

    The index is opened at once, its model is loaded at the first search by meaning and shared with every other part
    that uses it. A new generation of the index is picked up by the next search, also one that was built with another
    model. `k` may also be given with a call: `retriever.invoke("…", k=3)`.

    Raises:
        IndexMissing, IndexDamaged: when it is made.
        QuestionError, ModelError, IndexMismatch: when it searches.
    """

    index_dir: Path = Path(".echo-index")
    k: int = Field(default=5, ge=1)
    mode: Mode = "hybrid"
    instruction: str | None = None
    """The task in words, for the dense side."""
    paths: tuple[str, ...] = ()
    """Only documents whose path matches one of these globs."""
    formats: tuple[str, ...] = ()
    """Only documents of these formats."""
    rerank: Annotated[int, Field(ge=0)] = 0
    """The best so many are reordered by how likely the language model finds the question after each."""
    group: bool = False
    """Whether a passage that says the same as a better one is only named by it, in the metadata `alike`."""
    score_threshold: float | None = None
    """The least `Hit.score` of a passage: a cosine (dense), BM25 (lexical) or the fused score (hybrid, or reranked)."""
    device: DeviceChoice = "auto"
    index_device: IndexDevice = "auto"
    retriever: InstanceOf[Retriever] | None = Field(default=None, exclude=True, repr=False)
    """A retriever that is open already; the folder, unless another is named, and the devices are its own then."""

    def model_post_init(self, context: Any) -> None:
        """Open the index, so that a wrong folder is noticed at once."""
        another = "index_dir" in self.model_fields_set and self.retriever and self.retriever.index_dir != self.index_dir
        if self.retriever is None or another:
            self.retriever = self._open()
        self.index_dir = self.retriever.index_dir

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        try:
            hits = self._search(query, k)
        except IndexMismatch:
            self.retriever = self._open()  # rebuilt with another model since it was opened
            hits = self._search(query, k)
        least = self.score_threshold
        return [document_from_hit(hit) for hit in hits if least is None or hit.score >= least]

    def _search(self, query: str, k: int | None) -> list[Hit]:
        retriever = self.retriever or self._open()
        return retriever.search(
            query,
            k=self.k if k is None else k,
            mode=self.mode,
            instruction=self.instruction,
            where=SearchFilter(paths=self.paths, formats=self.formats),
            rerank=self.rerank,
            group=self.group,
        )

    def _open(self) -> Retriever:
        return Retriever.open(self.index_dir, device=self.device, index_device=self.index_device)


def document_from_hit(hit: Hit) -> Document:
    """Return a hit as LangChain's document: its text, and all else as metadata in types that JSON knows."""
    metadata = _HITS.dump_python(hit, mode="json", exclude={"text"})
    metadata["alike"] = metadata.pop("duplicates")  # its key, whatever the field is called
    return Document(hit.text, id=f"{hit.source}:{hit.start}-{hit.end}", metadata=metadata)


def hit_from_document(document: Document) -> Hit:
    """Return a document as a hit; of another retriever's, only text, source and title are known."""
    fields = {**document.metadata, "text": document.page_content}
    fields["duplicates"] = fields.pop("alike", ())
    try:
        return _HITS.validate_python(fields)
    except ValidationError:
        source = str(document.metadata.get("source") or document.id or "")
        title = str(document.metadata.get("title") or source)
        text = document.page_content
        return Hit(text, source, title, (), "", 0, len(text), None, None, 0.0, None, None)
