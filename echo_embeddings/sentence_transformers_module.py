"""Offer an encoder as a model of sentence-transformers, and save it as a model folder.

`SentenceTransformer(folder, trust_remote_code=True)` loads it. The folder holds no code: since version 6 the library
asks for the argument for each module of another package. The folder names the base model as `load_model` does, holds
the settings of the encoder, and a copy of its adapter.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import torch

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.encoder_config import EncoderConfig
from echo_index.embeddings.text.prompt_tokens import EchoTokens
from echo_index.errors import MissingPackage, ModelError, PromptError, TextError

try:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import InputModule
except ImportError:
    raise MissingPackage(
        "Models of sentence-transformers need the package sentence-transformers, version 6 or later.",
        remedy="Install it: pip install 'sentence-transformers>=6'",
    ) from None

Features = dict[str, torch.Tensor]
_ADAPTER_FOLDER = "adapter"
_PADDING = 0  # the token id after the end of a prompt; the attention mask tells it from a token
_NO_SPAN = -1


class EchoModule(InputModule):
    """The only module of a model of sentence-transformers that computes echo embeddings. For inference only.

    Texts are embedded as documents, without a prompt. A prompt of sentence-transformers is the task instruction of a
    query. So `encode_document` and `encode` embed documents, `encode_query` embeds queries with the encoder's own
    instruction, and `encode(texts, prompt="Find the translation.")` embeds queries with another one. An empty text
    gets a vector of zeros.
    """

    config_file_name = "echo_encoder.json"

    def __init__(self, encoder: EchoEncoder) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.encoder = encoder

    @classmethod
    def load(
        cls,
        model_name_or_path: str,
        subfolder: str = "",
        token: bool | str | None = None,
        cache_folder: str | None = None,
        revision: str | None = None,
        local_files_only: bool = False,
        init_defaults: dict[str, Any] | None = None,
        **_: Any,
    ) -> EchoModule:
        """Load the encoder of a model folder or of a model on the Hugging Face hub.

        Raises:
            ModelError: the folder has no settings of an encoder, or the base model is missing or has other weights.
        """
        config: EncoderConfig = cls.load_config(
            model_name_or_path,
            subfolder=subfolder,
            token=token,
            cache_folder=cache_folder,
            revision=revision,
            local_files_only=local_files_only,
        )
        if not config:
            raise ModelError(f"The model {model_name_or_path} has no file {cls.config_file_name}.")
        if config["adapter"] == _ADAPTER_FOLDER:
            config["adapter"] = cls.load_dir_path(
                model_name_or_path,
                subfolder=str(PurePosixPath(subfolder, _ADAPTER_FOLDER)),
                token=token,
                cache_folder=cache_folder,
                revision=revision,
                local_files_only=local_files_only,
            )
        encoder = EchoEncoder.from_config(config)
        if differences := encoder.differences(config):
            raise ModelError(
                f"The model {model_name_or_path} was saved with another encoder: {'; '.join(differences)}.",
                remedy="Save it again with save_sentence_transformer.",
            )
        return cls(encoder)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """Write the settings of the encoder, and its adapter unless that is bundled, to a folder."""
        config, folder = self.encoder.config(), Path(output_path)
        adapter = config["adapter"]
        if adapter not in (None, "own"):
            if Path(str(adapter)).resolve() != (folder / _ADAPTER_FOLDER).resolve():  # else it was loaded from there
                shutil.copytree(str(adapter), folder / _ADAPTER_FOLDER, dirs_exist_ok=True)
            config["adapter"] = _ADAPTER_FOLDER
        (folder / self.config_file_name).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def __reduce__(self) -> tuple[Callable[[EncoderConfig], EchoModule], tuple[EncoderConfig]]:
        """Load the encoder again in another process, which `encode` with several devices starts."""
        return _module_of, (self.encoder.config(),)

    def get_embedding_dimension(self) -> int:
        """Return the dimension of the vectors."""
        return self.encoder.dimension

    @property
    def max_seq_length(self) -> int:
        """The most tokens of each copy of a text; the rest is cut off."""
        return self.encoder.max_tokens

    @max_seq_length.setter
    def max_seq_length(self, tokens: int) -> None:
        self.encoder = self.encoder.with_options(max_tokens=tokens)

    def preprocess(  # type: ignore[override]  # other modules take pictures, sounds and pairs, too
        self,
        inputs: Sequence[str],
        prompt: str | None = None,
        *,
        task: Literal["query", "document"] | None = None,
        **_: Any,
    ) -> Features:
        """Return the tokens of texts in the prompt for documents or queries, and the spans that are pooled.

        Raises:
            TextError: an input is not a text, or not valid Unicode.
            PromptError: there is an instruction for documents, or the query prompt has no slot for it.
        """
        if other := next((type(text).__name__ for text in inputs if not isinstance(text, str)), None):
            raise TextError(f"Only texts can be embedded, not inputs of type {other}.")
        if task == "document" and prompt:
            raise PromptError(
                f"There is an instruction for documents: {prompt!r}.", remedy="Give instructions for queries only."
            )
        texts = [text for text in inputs if text]
        if task == "query" or prompt:
            # The saved prompt of queries is the encoder's own instruction, which a query prompt without a slot ignores.
            own = not prompt or prompt == self.encoder.instruction
            tokens = self.encoder.query_tokens(texts, instruction=None if own else prompt)
        else:
            tokens = self.encoder.document_tokens(texts)
        remaining = iter(tokens)
        return _as_features([next(remaining) if text else EchoTokens((), 0, 0, None) for text in inputs])

    def forward(self, features: Features, **_: Any) -> dict[str, torch.Tensor]:
        """Add the vectors of the texts, `sentence_embedding`: float32 (n, dimension), unit rows."""
        tokens = _from_features(features)
        present = [position for position, text in enumerate(tokens) if len(text)]
        vectors = torch.zeros(len(tokens), self.encoder.dimension)
        if present:
            vectors[present] = torch.from_numpy(self.encoder.encode_tokens([tokens[position] for position in present]))
        return {**features, "sentence_embedding": vectors.to(features["input_ids"].device)}


def as_sentence_transformer(encoder: EchoEncoder) -> SentenceTransformer:
    """Return a model of sentence-transformers with the vectors of an encoder.

    `encode_query` equals `encode_queries`, `encode_document` equals `encode_documents`.
    """
    return SentenceTransformer(
        modules=[EchoModule(encoder)],
        prompts={"query": encoder.instruction, "document": ""},
        similarity_fn_name="cosine",
    )


def save_sentence_transformer(encoder: EchoEncoder, folder: Path | str) -> None:
    """Write a folder that sentence-transformers loads where echo-index is installed.

    Raises:
        ModelError: the folder cannot be written, or holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and _is_replaceable(folder)):
        raise ModelError(f"{folder} exists and is not a saved model of echo-index.", remedy="Name a new folder.")
    try:
        as_sentence_transformer(encoder).save(str(folder), create_model_card=False)
        (folder / "README.md").write_text(_model_card(encoder), encoding="utf-8")
    except OSError as error:
        raise ModelError(f"The model cannot be saved to {folder}: {error.strerror or error}.") from None


def _is_replaceable(folder: Path) -> bool:
    return not any(folder.iterdir()) or (folder / EchoModule.config_file_name).is_file()


def _module_of(config: EncoderConfig) -> EchoModule:
    return EchoModule(EchoEncoder.from_config(config))


def _as_features(tokens: Sequence[EchoTokens]) -> Features:
    """Return the prompts as tensors, which sentence-transformers counts and moves between devices."""
    rows = [torch.tensor(text.ids, dtype=torch.int64) for text in tokens]
    lengths = torch.tensor([len(text) for text in tokens])
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_PADDING)
    return {
        "input_ids": ids,
        "attention_mask": (torch.arange(ids.shape[1]) < lengths[:, None]).long(),
        "pooled_span": torch.tensor([(text.start, text.end) for text in tokens]),
        "first_copy": torch.tensor([text.first_copy or (_NO_SPAN, _NO_SPAN) for text in tokens]),
        "shared_tokens": torch.tensor([text.fixed for text in tokens]),
    }


def _from_features(features: Mapping[str, torch.Tensor]) -> list[EchoTokens]:
    lengths = features["attention_mask"].sum(dim=1).tolist()
    rows = zip(
        features["input_ids"].tolist(),
        lengths,
        features["pooled_span"].tolist(),
        features["first_copy"].tolist(),
        features["shared_tokens"].tolist(),
        strict=True,
    )
    return [
        EchoTokens(tuple(ids[:length]), start, end, None if first[0] == _NO_SPAN else tuple(first), fixed)
        for ids, length, (start, end), first, fixed in rows
    ]


def _model_card(encoder: EchoEncoder) -> str:
    return f"""---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags: [sentence-transformers, sentence-similarity, feature-extraction, echo-embeddings]
---

# Echo embeddings of {encoder.model.name}

A language model reads each text twice; its vector is pooled over the second copy (arXiv 2402.15449). The folder holds
the settings, not the weights of {encoder.model.name}. It needs the packages echo-index and sentence-transformers:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this folder", trust_remote_code=True)  # the code is that of the package echo-index
documents = model.encode_document(["The licence is valid for three years."])
queries = model.encode_query(["How long may I drive with it?"])
print(model.similarity(queries, documents))
```

Vectors have {encoder.dimension} components. A text is cut off after {encoder.max_tokens} tokens. The prompt of a query
is the task instruction; the default is: {encoder.instruction}
"""
