"""Known embedding models with their profiles give the tokens and vectors of the libraries they were published with."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from embedding_checkpoints import save_echo_mistral, save_harrier, save_qwen3_embedding
from sentence_transformers import SentenceTransformer

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.models.profiles import find_profile, only_embeds, profile_for, profile_names, reminding_of
from echo_index.embeddings.sentence_transformers_module import save_sentence_transformer
from echo_index.embeddings.text import tokenizer
from echo_index.embeddings.text.echo_prompt import EchoPrompt
from echo_index.embeddings.vectors.pooling import Pooling
from echo_index.errors import ModelError, PromptError
from echo_index.retriever.search.reranking import Reranker

TEXTS = [
    "what is a fox",
    "name of the lazy dog",
    " The quick brown fox jumps over the lazy dog, and the wizards judge it.",
    "Größe naïve 🦊",
    "Cafe\u0301 \n\n two  spaces\t",
    "e" * 70,
]
INSTRUCTION = "Find a fox: it is quick."
QWEN, HARRIER = "qwen3-embedding-0.6b", "harrier-oss-v1-270m"
LAST, MEAN = "echo-mistral-7b-instruct-lasttoken", "echo-mistral-7b-instruct-meantoken"

Published = tuple[SentenceTransformer, EchoEncoder]


def encoder_of(folder: Path, name: str) -> EchoEncoder:
    return EchoEncoder(load_model(str(folder), device="cpu")).with_profile(name)


@pytest.fixture(scope="module", params=[QWEN, HARRIER])
def one_copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Return a model as sentence-transformers loads it, and our encoder of the same files."""
    save: Callable[[Path], SentenceTransformer] = {QWEN: save_qwen3_embedding, HARRIER: save_harrier}[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    return save(folder), encoder_of(folder, request.param)


def test_tokens_of_one_copy_are_those_of_sentence_transformers(one_copy: Published) -> None:
    published, encoder = one_copy
    documents, queries = encoder.document_tokens(TEXTS), encoder.query_tokens(TEXTS)
    asked = [published.prompts["query"] + text for text in TEXTS]
    assert [list(tokens.ids) for tokens in documents] == published.tokenizer(TEXTS)["input_ids"]
    assert [list(tokens.ids) for tokens in queries] == published.tokenizer(asked)["input_ids"]
    assert all(tokens.end == len(tokens) for tokens in (*documents, *queries))
    assert {tokens.ids[-1] for tokens in (*documents, *queries)} == {published.tokenizer("")["input_ids"][-1]}


def test_vectors_of_one_copy_are_those_of_sentence_transformers(one_copy: Published) -> None:
    published, encoder = one_copy
    documents, queries = encoder.encode_documents(TEXTS), encoder.encode_queries(TEXTS)
    assert documents == pytest.approx(published.encode_document(TEXTS), abs=1e-5)
    assert queries == pytest.approx(published.encode_query(TEXTS), abs=1e-5)
    assert np.abs(queries - documents).max() > 1e-2
    assert np.concatenate([encoder.encode_queries([text]) for text in TEXTS]) == pytest.approx(queries, abs=1e-5)


def test_an_instruction_takes_the_place_of_the_default_one(one_copy: Published) -> None:
    published, encoder = one_copy
    prompt = published.prompts["query"].replace(encoder.instruction, INSTRUCTION)
    assert INSTRUCTION in prompt
    queries = encoder.encode_queries(TEXTS, instruction=INSTRUCTION)
    assert queries == pytest.approx(published.encode(TEXTS, prompt=prompt), abs=1e-5)


@pytest.mark.parametrize("most", [1, 3, 9])
def test_a_long_text_is_cut_before_the_end_token(one_copy: Published, most: int) -> None:
    published, encoder = one_copy
    cut = encoder.with_options(max_tokens=most).document_tokens(TEXTS)
    around = len(published.tokenizer("")["input_ids"])
    expected = published.tokenizer(TEXTS, truncation=True, max_length=most + around)["input_ids"]
    assert [list(tokens.ids) for tokens in cut] == expected
    [prompted] = encoder.with_options(max_tokens=most).query_tokens([TEXTS[2]], instruction="a fox " * 20)
    assert prompted.end - prompted.start == most + 1
    assert prompted.start < len(encoder.query_tokens(["a"], instruction="")[0]) + most


def test_a_mean_over_one_copy_is_that_over_the_text_and_its_end(one_copy: Published) -> None:
    published, encoder = one_copy
    [prompt], text = encoder.query_tokens([TEXTS[2]]), encoder.with_options(pooling="mean")
    body = load_model(str(encoder.model.folder), device="cpu").base_model
    with torch.inference_mode():
        states = body(torch.tensor([prompt.ids])).last_hidden_state[0, prompt.start :]
    expected = torch.nn.functional.normalize(states.mean(dim=0), dim=0)
    assert text.encode_queries([TEXTS[2]])[0] == pytest.approx(expected.numpy(), abs=1e-5)
    named = published.tokenizer.decode(prompt.ids[prompt.start : -1])
    assert TEXTS[2].endswith(named.lstrip()) or named.endswith(TEXTS[2].lstrip())


@pytest.fixture(scope="module", params=[LAST, MEAN])
def echo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, tmp_path_factory.mktemp(request.param)


def test_two_copies_are_read_as_in_the_paper(echo: tuple[str, Path]) -> None:
    name, folder = echo
    model, published = save_echo_mistral(folder)
    encoder = encoder_of(folder, name)

    def reference(texts: list[str], *before: str) -> tuple[list[list[int]], torch.Tensor]:
        """Return the tokens and vectors of texts after what is before their second copies, each piece on its own."""
        rows, vectors = [], []
        for text in texts:
            pieces = [published(piece.format(text), add_special_tokens=False)["input_ids"] for piece in before]
            copy = published(text, add_special_tokens=False)["input_ids"]
            rows.append([published.bos_token_id, *chain(*pieces), *copy, published.eos_token_id])
            with torch.inference_mode():
                states = model(torch.tensor([rows[-1]])).last_hidden_state[0, -len(copy) - 1 :]
            pooled = states[-1] if encoder.pooling is Pooling.LAST else states.mean(dim=0)
            vectors.append(torch.nn.functional.normalize(pooled, dim=0))
        return rows, torch.stack(vectors)

    rows, vectors = reference(TEXTS, "Document:", "{}", "\nDocument again:")
    assert [list(tokens.ids) for tokens in encoder.document_tokens(TEXTS)] == rows
    assert encoder.encode_documents(TEXTS) == pytest.approx(vectors.numpy(), abs=1e-5)
    for instruction in (encoder.instruction, INSTRUCTION):
        rows, vectors = reference(TEXTS, "Instruct:", f"{instruction},", "\nQuery:", "{}", "\nQuery again:")
        assert [list(tokens.ids) for tokens in encoder.query_tokens(TEXTS, instruction=instruction)] == rows
        queries = encoder.encode_queries(TEXTS, instruction=instruction)
        assert queries == pytest.approx(vectors.numpy(), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        (LAST, "jspringer/echo-mistral-7b-instruct-lasttoken"),
        (MEAN, "jspringer/echo-mistral-7b-instruct-meantoken"),
        (QWEN, "Qwen/Qwen3-Embedding-0.6B"),
        (HARRIER, "microsoft/harrier-oss-v1-270m"),
    ],
)
def test_a_profile_is_found_by_its_name_and_by_the_name_of_its_model(name: str, model: str) -> None:
    profile = profile_for(model)
    assert profile.name == name and profile.only_embeds
    assert find_profile(name.upper()) is find_profile(model.lower()) is profile
    assert profile.query.takes_instruction and not profile.document.takes_instruction


def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="There is no profile 'default'") as refusal:
        find_profile("default")
    assert all(name in str(refusal.value) for name in profile_names())
    assert "gemma3-270m" in profile_names()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/Qwen3-Embedding-0.6B", QWEN),
        ("Qwen3-Embedding-0.6B-Q8_0.gguf", QWEN),
        ("/models/harrier-oss-v1-270m/", HARRIER),
        ("models/Qwen3-Embedding", None),
        ("models/my-model", None),
        ("Qwen/Qwen3-Embedding-0.6B", None),
        ("smollm2-135m-instruct", None),
    ],
)
def test_the_name_of_a_folder_can_remind_of_a_model_without_a_profile(path: str, name: str | None) -> None:
    reminded = reminding_of(path)
    assert (reminded and reminded.name) == name


def test_a_profile_changes_all_settings_and_the_fingerprint(one_copy: Published) -> None:
    _, encoder = one_copy
    other = LAST
    changed = encoder.with_options(layer=2, precision="bf16").with_profile(other)
    profile = find_profile(other)
    assert (changed.document_prompt, changed.query_prompt) == (profile.document, profile.query)
    assert (changed.instruction, changed.max_tokens) == (profile.instruction, 300)
    assert (changed.layer, changed.precision) == (encoder.model.depth, encoder.with_precision("bf16").precision)
    fingerprints = [encoder.fingerprint, changed.fingerprint, EchoEncoder(encoder.model).fingerprint]
    assert len({*fingerprints}) == 3
    again = EchoEncoder.from_config(encoder.config(), device="cpu")
    assert again.fingerprint == encoder.fingerprint
    assert np.array_equal(again.encode_queries(TEXTS), encoder.encode_queries(TEXTS))


def test_a_saved_encoder_of_one_copy_gives_the_same_vectors(one_copy: Published, tmp_path: Path) -> None:
    published, encoder = one_copy
    save_sentence_transformer(encoder, tmp_path / "saved")
    saved = SentenceTransformer(str(tmp_path / "saved"), device="cpu", trust_remote_code=True)
    assert saved.encode_document(TEXTS) == pytest.approx(published.encode_document(TEXTS), abs=1e-5)
    assert saved.encode_query(TEXTS) == pytest.approx(published.encode_query(TEXTS), abs=1e-5)


def test_a_large_tokenizer_gives_the_same_tokens(
    one_copy: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Special tokens beside the vocabulary are found without reading the whole tokenizer."""
    _, encoder = one_copy
    monkeypatch.setenv("ECHO_INDEX_CACHE", str(tmp_path))
    monkeypatch.setattr(tokenizer, "_LARGE", 0)
    for _ in range(2):  # first the table is written, then it is read
        loaded = tokenizer.ModelTokenizer.load(encoder.model.folder)
    full = encoder.model.tokenizer
    assert loaded._partial is not None
    assert (loaded.bos_id, loaded.end_id) == (full.bos_id, full.end_id)
    assert full.end_id is not None
    for name in ("<|endoftext|>", "<|im_end|>", "<eos>", "no such token"):
        assert loaded.id_of(name) == full.id_of(name)
    assert loaded._full is None


def test_a_model_without_the_end_token_of_its_profile_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(PromptError, match=r"has \{end\}, but this model has no token <\|endoftext\|>\."):
        encoder_of(tiny_folder, QWEN).encode_documents(TEXTS)


def test_models_that_only_embed_are_known_by_their_settings(one_copy: Published) -> None:
    _, encoder = one_copy
    assert only_embeds(encoder.config())
    assert not only_embeds({**encoder.config(), "adapter": "own"})
    assert not only_embeds(encoder.with_options(query_prompt=EchoPrompt("{echo}")).config())
    with pytest.raises(ModelError, match="is trained for embeddings: it cannot rerank"):
        Reranker(lambda: encoder).score("what", TEXTS)
