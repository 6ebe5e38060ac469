"""Models of sentence-transformers with the vectors of an encoder, in memory and from a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mteb
import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from mteb.abstasks import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from peft import LoraConfig, get_peft_model
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from transformers import AutoModelForCausalLM

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.sentence_transformers_module import as_sentence_transformer, save_sentence_transformer
from echo_index.embeddings.text.echo_prompt import CLASSICAL, EchoPrompt
from echo_index.embeddings.vectors.layer_views import format_views
from echo_index.errors import ModelError, PromptError, TextError
from echo_index.retriever.evaluation.mteb_adapter import EchoMteb

TEXTS = [
    "The quick brown fox jumps over the lazy dog.",
    "Pack my box.",
    "Five boxing wizards sleep while the dog jumps, and the fox is quick, quick and brown.",
]
WITHOUT_INSTRUCTION = EchoPrompt("Say {text} again: {echo}")


def saved(encoder: EchoEncoder, folder: Path) -> SentenceTransformer:
    """Return the model that sentence-transformers loads from a folder of this encoder."""
    save_sentence_transformer(encoder, folder)
    return SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)


@pytest.fixture(scope="module")
def model(encoder: EchoEncoder) -> SentenceTransformer:
    return as_sentence_transformer(encoder)


def test_a_saved_encoder_gives_the_same_vectors_to_sentence_transformers(encoder: EchoEncoder, tmp_path: Path) -> None:
    changed = encoder.with_options(
        layer=f"echo:{encoder.model.depth}+0.5*text:2",
        pooling="last",
        max_tokens=7,
        document_prompt=WITHOUT_INSTRUCTION,
    )
    model = saved(changed, tmp_path / "model")
    assert model.encode_document(TEXTS) == pytest.approx(changed.encode_documents(TEXTS), abs=1e-5)
    assert model.encode_query(TEXTS) == pytest.approx(changed.encode_queries(TEXTS), abs=1e-5)
    assert model.get_embedding_dimension() == changed.dimension
    assert model.max_seq_length == 7
    assert model[0].encoder.layer == format_views(changed.views)


def test_texts_without_a_prompt_are_documents_and_with_one_queries(
    encoder: EchoEncoder, model: SentenceTransformer
) -> None:
    assert model.encode(TEXTS) == pytest.approx(encoder.encode_documents(TEXTS), abs=1e-5)
    instruction = "Find the translation."
    queries = encoder.encode_queries(TEXTS, instruction=instruction)
    assert model.encode(TEXTS, prompt=instruction) == pytest.approx(queries, abs=1e-5)
    assert model.encode_query(TEXTS, prompt=instruction) == pytest.approx(queries, abs=1e-5)
    assert np.abs(queries - encoder.encode_queries(TEXTS)).max() > 1e-3


def test_texts_that_are_read_once_are_embedded_as_well(encoder: EchoEncoder, tmp_path: Path) -> None:
    once = encoder.with_options(document_prompt=CLASSICAL, query_prompt=CLASSICAL, layer=3)
    model = saved(once, tmp_path / "model")
    assert model.encode(TEXTS) == pytest.approx(once.encode_documents(TEXTS), abs=1e-5)


def test_a_query_prompt_without_a_slot_takes_no_instruction(encoder: EchoEncoder) -> None:
    without = encoder.with_options(query_prompt=WITHOUT_INSTRUCTION)
    model = as_sentence_transformer(without)
    assert model.encode_query(TEXTS) == pytest.approx(without.encode_queries(TEXTS), abs=1e-5)
    with pytest.raises(PromptError, match=r"no \{instruction\} slot"):
        model.encode_query(TEXTS, prompt="Find the translation.")


def test_an_instruction_for_documents_is_an_error(model: SentenceTransformer) -> None:
    with pytest.raises(PromptError, match=r"instruction for documents: 'Read this\.'"):
        model.encode_document(TEXTS, prompt="Read this.")


def test_an_empty_text_has_a_vector_of_zeros(encoder: EchoEncoder, model: SentenceTransformer) -> None:
    [first, empty, second] = model.encode([TEXTS[0], "", TEXTS[1]])
    assert not empty.any()
    assert np.stack([first, second]) == pytest.approx(encoder.encode_documents(TEXTS[:2]), abs=1e-5)
    assert not model.encode([""]).any()


def test_only_texts_can_be_embedded(model: SentenceTransformer) -> None:
    with pytest.raises(TextError, match="not inputs of type tuple"):
        model.encode([("a question", "a passage")])


def test_several_processes_give_the_same_vectors(encoder: EchoEncoder, model: SentenceTransformer) -> None:
    vectors = model.encode(TEXTS, device=["cpu", "cpu"], batch_size=1)
    assert vectors == pytest.approx(encoder.encode_documents(TEXTS), abs=1e-5)


def test_the_longest_text_can_be_changed(encoder: EchoEncoder) -> None:
    model = as_sentence_transformer(encoder)
    model.max_seq_length = 3
    assert model.encode(TEXTS) == pytest.approx(encoder.with_options(max_tokens=3).encode_documents(TEXTS), abs=1e-5)


@pytest.fixture
def adapter(tiny_folder: Path, tmp_path: Path) -> Path:
    """Return the folder of a random LoRA adapter of the tiny model."""
    base = AutoModelForCausalLM.from_pretrained(tiny_folder)
    made = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    made.save_pretrained(str(tmp_path / "trained"))
    return tmp_path / "trained"


def test_an_adapter_moves_with_the_folder(
    encoder: EchoEncoder, tiny_folder: Path, adapter: Path, tmp_path: Path
) -> None:
    adapted = EchoEncoder(load_model(str(tiny_folder), adapter=adapter, device="cpu"))
    expected = adapted.encode_documents(TEXTS)
    save_sentence_transformer(adapted, tmp_path / "model")
    adapter.rename(tmp_path / "elsewhere")
    moved = (tmp_path / "model").rename(tmp_path / "moved")
    model = SentenceTransformer(str(moved), device="cpu", trust_remote_code=True)
    assert model.encode(TEXTS) == pytest.approx(expected, abs=1e-5)
    model.save(str(moved))  # onto itself
    model = SentenceTransformer(str(moved), device="cpu", trust_remote_code=True)
    assert model.encode(TEXTS) == pytest.approx(expected, abs=1e-5)
    assert (
        np.abs(expected - EchoEncoder(load_model(str(tiny_folder), device="cpu")).encode_documents(TEXTS)).max() > 1e-3
    )


def test_weights_that_have_changed_are_an_error(encoder: EchoEncoder, tmp_path: Path) -> None:
    save_sentence_transformer(encoder, tmp_path / "model")
    file = tmp_path / "model" / "echo_encoder.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "weights": "0" * 64}))
    with pytest.raises(ModelError, match="saved with another encoder: weights was"):
        SentenceTransformer(str(tmp_path / "model"), trust_remote_code=True)


def test_a_folder_of_something_else_is_not_overwritten(encoder: EchoEncoder, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="exists and is not a saved model"):
        save_sentence_transformer(encoder, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    save_sentence_transformer(encoder, tmp_path / "new")
    save_sentence_transformer(encoder.with_options(max_tokens=5), tmp_path / "new")
    assert json.loads((tmp_path / "new" / "echo_encoder.json").read_text())["max_tokens"] == 5


def test_without_the_package_the_error_says_what_to_install() -> None:
    script = "import sys; sys.modules['sentence_transformers'] = None; from echo_index import as_sentence_transformer"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "MissingPackage" in ended.stderr and "pip install 'sentence-transformers>=6'" in ended.stderr


def test_the_evaluators_of_sentence_transformers_use_queries_and_documents(
    encoder: EchoEncoder, model: SentenceTransformer
) -> None:
    evaluator = InformationRetrievalEvaluator(
        {"q": "a fox"}, {str(number): text for number, text in enumerate(TEXTS)}, {"q": {"1"}}, mrr_at_k=[3]
    )
    [cosines] = encoder.encode_queries(["a fox"]) @ encoder.encode_documents(TEXTS).T
    rank = 1 + int((cosines > cosines[1]).sum())
    assert evaluator(model)["cosine_mrr@3"] == pytest.approx(1 / rank)


class Pairs(AbsTaskSTS):
    metadata = TaskMetadata(
        name="Pairs",
        description="Texts of a test.",
        type="STS",
        category="t2t",
        dataset={"path": "none", "revision": "none"},
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman",
    )

    def load_data(self, **_: object) -> None:
        columns = {"sentence1": TEXTS * 2, "sentence2": [*TEXTS[1:], TEXTS[0], *TEXTS], "score": [1, 2, 3, 5, 4, 0]}
        self.dataset = DatasetDict({"test": Dataset.from_dict(columns)})
        self.data_loaded = True


def test_mteb_gives_the_model_the_scores_of_the_encoder(encoder: EchoEncoder, model: SentenceTransformer) -> None:
    scores = [
        mteb.evaluate(one, Pairs(), cache=None, show_progress_bar=False)[0].get_score()
        for one in (model, EchoMteb(encoder))
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
