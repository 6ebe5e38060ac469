"""EchoMteb in mteb's tasks on small texts: the scores are those of the encoder's vectors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mteb
import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from evaluation_files import json_lines
from mteb.abstasks import AbsTaskRetrieval, AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import EncoderProtocol
from mteb.types import PromptType
from scipy.stats import spearmanr

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.echo_prompt import CLASSICAL, EchoPrompt
from echo_index.embeddings.vectors.vector_ops import Vectors, center
from echo_index.errors import ModelError, PromptError
from echo_index.indexer.documents.chunking import Chunking
from echo_index.retriever.evaluation.dataset_loader import read_evaluation_input
from echo_index.retriever.evaluation.datasets import BeirDataset
from echo_index.retriever.evaluation.indexed_dataset import open_dataset
from echo_index.retriever.evaluation.mteb_adapter import TASK_INSTRUCTIONS, EchoMteb, UsedPrompt
from echo_index.retriever.evaluation.retrieval_systems import SYSTEMS
from echo_index.retriever.evaluation.runner import evaluate_rankings

DOCUMENTS = {
    "bread": "Sourdough needs flour, water, salt and a day of patience before it goes into the oven.",
    "whales": "The blue whale is the largest animal that has ever lived in the sea.",
    "invoices": "Suppliers are paid within thirty days after their bill has arrived.",
    "violin": "A violin has four strings, which are tuned in fifths and played with a bow.",
    "volcano": "Lava flows out of the mountain when the pressure of the magma grows too high.",
    "bicycle": "Oil the chain and check the brakes of your bike before a long tour.",
    "vaccine": "A child is vaccinated against measles twice, the first time at eleven months.",
    "election": "The parliament is chosen by all citizens over eighteen every four years.",
    "nothing": "",
    "glacier": "Ice that lies for centuries flows slowly down the valley.",
    "tea": "Green tea is steeped in water that has stopped boiling.",
    "owl": "An owl hears a mouse under the snow.",
    "bridge": "The bridge is closed to lorries until the cables are replaced.",
}
QUERIES = {
    "q1": "What do I need to bake a loaf?",
    "q2": "Which creature of the ocean is the biggest?",
    "q3": "How soon do we settle what we owe to vendors?",
}
RELEVANT = {
    "q1": {"bread": 2, "tea": 1},
    "q2": {"whales": 1, "owl": 1, "violin": 1},
    "q3": {"invoices": 1},
}
PAIRS = [
    ("A man is playing a guitar.", "Somebody plays the guitar.", 5.0),
    ("A child runs over the meadow.", "A boy is running across the grass.", 4.0),
    ("The dog sleeps on the sofa.", "A cat sleeps on a chair.", 2.0),
    ("Prices of oil rose again.", "The orchestra plays a symphony.", 0.0),
    ("She cooks rice.", "She is cooking noodles.", 3.0),
    ("The plane has landed.", "Potatoes grow in the ground.", 0.5),
]


def metadata(task_type: str, *, name: str = "LocalTask", prompt: str | dict[str, str] | None = None) -> TaskMetadata:
    return TaskMetadata(
        dataset={"path": "none", "revision": "none"},
        name=name,
        description="Texts of a test.",
        prompt=prompt,
        type=task_type,
        category="t2t",
        eval_langs=["eng-Latn"],
        main_score="cosine_spearman" if task_type == "STS" else "ndcg_at_10",
    )


class LocalRetrieval(AbsTaskRetrieval):
    metadata = metadata("Retrieval", name="LocalRetrieval", prompt={"query": "Find what answers this."})
    relevant: Mapping[str, Mapping[str, int]] = RELEVANT

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:
        queries = [{"id": name, "text": text} for name, text in QUERIES.items()]
        documents = [{"id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()]
        split = {"queries": Dataset.from_list(queries), "corpus": Dataset.from_list(documents)}
        self.dataset = {"default": {"test": {**split, "relevant_docs": self.relevant, "top_ranked": None}}}
        self.data_loaded = True


class PlainRetrieval(LocalRetrieval):
    """Queries with their only relevant document."""

    metadata = metadata("Retrieval", name="PlainRetrieval")
    relevant: Mapping[str, Mapping[str, int]] = {"q1": {"bread": 1}, "q2": {"whales": 1}, "q3": {"invoices": 1}}


class LocalSTS(AbsTaskSTS):
    metadata = metadata("STS", name="LocalSTS")

    def load_data(self, num_proc: int | None = None, **options: Any) -> None:
        columns = dict(zip(("sentence1", "sentence2", "score"), map(list, zip(*PAIRS, strict=True)), strict=True))
        self.dataset = DatasetDict({"test": Dataset.from_dict(columns)})
        self.data_loaded = True


def score(model: EchoMteb, task: AbsTaskRetrieval | AbsTaskSTS, cache: mteb.ResultCache | None = None) -> float:
    """Return the main score of a task by `mteb.evaluate`."""
    return mteb.evaluate(model, task, cache=cache, show_progress_bar=False)[0].get_score()


def retrieval_score(queries: Vectors, documents: Vectors) -> float:
    """Return nDCG@10 with linear gains, as in trec_eval, of QUERIES and DOCUMENTS by inner products."""
    discounts = 1 / np.log2(np.arange(2, 12))
    scores = []
    for relevant, products in zip(RELEVANT.values(), queries @ documents.T, strict=True):
        ranked = np.array(list(DOCUMENTS))[np.argsort(-products)][:10]
        gains = np.array([relevant.get(name, 0) for name in ranked])
        ideal = sorted(relevant.values(), reverse=True)
        scores.append((gains * discounts).sum() / (ideal * discounts[: len(ideal)]).sum())
    return float(np.mean(scores))


def write_collection(folder: Path) -> None:
    """Write the texts of LocalRetrieval in BEIR's layout."""
    (folder / "qrels").mkdir(parents=True)
    json_lines(folder / "corpus.jsonl", [{"_id": name, "title": "", "text": text} for name, text in DOCUMENTS.items()])
    json_lines(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in QUERIES.items()])
    judged = [f"{query}\t{name}\t{grade}" for query, grades in RELEVANT.items() for name, grade in grades.items()]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n", "utf-8")


def sts_score(first: Vectors, second: Vectors) -> float:
    return float(spearmanr((first * second).sum(axis=1), [grade for *_, grade in PAIRS]).statistic)


def encode(model: EchoMteb, texts: Sequence[str], task: TaskMetadata, side: PromptType | None = None) -> Vectors:
    batches: list[Mapping[str, Sequence[str]]] = [{"text": texts[:1]}, {"text": texts[1:]}]
    return model.encode(batches, task_metadata=task, hf_split="test", hf_subset="default", prompt_type=side)


def document_vectors(encoder: EchoEncoder) -> Vectors:
    """Return the encoder's vectors of DOCUMENTS, with zeros for the empty one."""
    told = [text for text in DOCUMENTS.values() if text]
    vectors = np.zeros((len(DOCUMENTS), encoder.dimension), dtype=np.float32)
    vectors[[text != "" for text in DOCUMENTS.values()]] = encoder.encode_documents(told)
    return vectors


def test_mteb_takes_it_for_an_encoder(encoder: EchoEncoder) -> None:
    assert isinstance(EchoMteb(encoder), EncoderProtocol)


# scores


def test_a_retrieval_score_is_that_of_the_encoders_own_vectors(encoder: EchoEncoder) -> None:
    queries = encoder.encode_queries(list(QUERIES.values()), instruction="Find what answers this.")
    expected = retrieval_score(queries, document_vectors(encoder))
    assert 0.05 < expected < 0.95  # a random model
    assert score(EchoMteb(encoder), LocalRetrieval()) == pytest.approx(expected, abs=1e-5)


def test_a_collection_has_the_score_that_our_own_evaluation_gives_it(encoder: EchoEncoder, tmp_path: Path) -> None:
    write_collection(tmp_path / "local")
    collection = read_evaluation_input(tmp_path / "local")
    assert isinstance(collection, BeirDataset)
    # So few passages have no mean that could be removed: the row `echo` ranks by the encoder's own vectors.
    dataset = open_dataset(collection, encoder, work=tmp_path / "work", chunking=Chunking())
    [row] = evaluate_rankings(dataset, [SYSTEMS["echo"]], baseline="echo").rows
    instructions = {"Retrieval": encoder.instruction}
    found = score(EchoMteb(encoder, instructions=instructions), LocalRetrieval())
    assert 0.05 < found < 0.95  # a random model
    assert row.scores["nDCG@10"] == pytest.approx(100 * found, abs=1e-3)


def test_an_sts_score_is_that_of_the_document_prompt_on_both_sides(encoder: EchoEncoder) -> None:
    first, second, _ = zip(*PAIRS, strict=True)
    expected = sts_score(encoder.encode_documents(first), encoder.encode_documents(second))
    assert score(EchoMteb(encoder), LocalSTS()) == pytest.approx(expected, abs=1e-5)


def test_symmetric_tasks_can_be_read_as_queries_on_both_sides(encoder: EchoEncoder) -> None:
    first, second, _ = zip(*PAIRS, strict=True)
    found = encode(EchoMteb(encoder, symmetric="query"), first, LocalSTS.metadata)
    assert np.array_equal(found, encoder.encode_queries(first, instruction=TASK_INSTRUCTIONS["STS"]))
    assert not np.allclose(found, encoder.encode_documents(first), atol=1e-3)
    of_documents = encode(EchoMteb(encoder, symmetric="query"), second, LocalRetrieval.metadata, PromptType.document)
    assert np.array_equal(of_documents, encoder.encode_documents(second))


def test_means_are_removed_from_each_side(encoder: EchoEncoder) -> None:
    texts = list(QUERIES.values())
    of_documents, of_queries = (
        vectors.mean(axis=0) for vectors in (encoder.encode_documents(texts), encoder.encode_queries(texts))
    )
    model = EchoMteb(encoder, means=(of_documents, of_queries), instructions={"Retrieval": encoder.instruction})
    documents = encode(model, texts, LocalRetrieval.metadata, PromptType.document)
    queries = encode(model, texts, LocalRetrieval.metadata, PromptType.query)
    assert documents.dtype == queries.dtype == np.float32
    assert np.allclose(documents, center(encoder.encode_documents(texts), of_documents), atol=1e-6)
    assert np.allclose(queries, center(encoder.encode_queries(texts), of_queries), atol=1e-6)


@pytest.mark.parametrize("texts", [["A text.", " \n"], ["", ""]])
def test_an_empty_text_has_a_vector_of_zeros(encoder: EchoEncoder, texts: list[str]) -> None:
    vectors = encode(EchoMteb(encoder), texts, LocalSTS.metadata)
    assert vectors.shape == (2, encoder.dimension)
    assert not vectors[1].any()
    assert vectors[0].any() == bool(texts[0])


def test_similarities_are_cosines(encoder: EchoEncoder) -> None:
    model, rng = EchoMteb(encoder), np.random.default_rng(0)
    first, second = (rng.normal(size=(3, 8)).astype(np.float32) for _ in range(2))
    cosines = (first @ second.T) / np.outer(np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1))
    assert np.allclose(model.similarity(first, second).numpy(), cosines, atol=1e-6)
    assert np.allclose(model.similarity_pairwise(first, second).numpy(), np.diag(cosines), atol=1e-6)


@pytest.mark.model
def test_a_real_model_finds_what_is_meant(gemma: LanguageModel) -> None:
    assert score(EchoMteb(EchoEncoder(gemma)), PlainRetrieval()) == 1.0


# instructions


@pytest.mark.parametrize(
    ("given", "own", "expected"),
    [
        ({"LocalTask": "by name", "Retrieval": "by type"}, "of mteb", "by name"),
        ({"AnotherTask": "by name", "Retrieval": "by type"}, "of mteb", "by type"),
        ({"STS": "of another type"}, "of mteb", "of mteb"),
        ({}, {"query": "of mteb, for queries", "document": "for documents"}, "of mteb, for queries"),
        ({}, {"document": "for documents"}, TASK_INSTRUCTIONS["Retrieval"]),
        ({}, None, TASK_INSTRUCTIONS["Retrieval"]),
    ],
)
def test_the_nearest_instruction_is_used(
    encoder: EchoEncoder, given: dict[str, str], own: str | dict[str, str] | None, expected: str
) -> None:
    model, task = EchoMteb(encoder, instructions=given), metadata("Retrieval", prompt=own)
    found = encode(model, list(QUERIES.values()), task, PromptType.query)
    assert np.array_equal(found, encoder.encode_queries(list(QUERIES.values()), instruction=expected))
    assert model.used_prompts[0].instruction == expected


def test_a_type_that_is_not_known_gets_the_encoders_instruction(encoder: EchoEncoder) -> None:
    assert EchoMteb(encoder).instruction(metadata("Regression")) == encoder.instruction


def test_a_query_prompt_without_a_place_for_it_gets_no_instruction(tiny_model: LanguageModel) -> None:
    encoder = EchoEncoder(tiny_model, query_prompt=CLASSICAL)
    model = EchoMteb(encoder)
    found = encode(model, list(QUERIES.values()), LocalRetrieval.metadata, PromptType.query)
    assert np.array_equal(found, encoder.encode_queries(list(QUERIES.values())))
    assert model.used_prompts[0].instruction is None
    with pytest.raises(PromptError, match=r"no \{instruction\} slot"):
        EchoMteb(encoder, instructions={"STS": "Find it."})


# what is written beside the scores


def test_the_prompts_that_were_used_are_noted(encoder: EchoEncoder) -> None:
    model = EchoMteb(encoder)
    score(model, LocalRetrieval())
    score(model, LocalSTS())
    document, query = encoder.document_prompt.template, encoder.query_prompt.template
    retrieval, sts = ("LocalRetrieval", "Retrieval", "test", "default"), ("LocalSTS", "STS", "test", "default")
    assert set(model.used_prompts) == {
        UsedPrompt(*retrieval, "query", query, "Find what answers this."),
        UsedPrompt(*retrieval, "document", document, None),
        UsedPrompt(*sts, "document", document, None),
    }


def test_prompts_stand_beside_the_scores_and_stay_there(encoder: EchoEncoder, tmp_path: Path) -> None:
    cache, first, second = mteb.ResultCache(tmp_path), EchoMteb(encoder), EchoMteb(encoder)
    found = score(first, LocalRetrieval(), cache)
    path = first.write_prompts(cache)
    assert score(second, LocalRetrieval(), cache) == found
    assert second.used_prompts == ()  # mteb had the scores
    score(second, LocalSTS(), cache)
    assert second.write_prompts(cache) == second.write_prompts(cache) == path
    assert (path.parent / "LocalRetrieval.json").exists()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [(line["task"], line["side"]) for line in lines] == [
        ("LocalRetrieval", "query"),
        ("LocalRetrieval", "document"),
        ("LocalSTS", "document"),
    ]
    told = json.loads((path.parent / "model_meta.json").read_text(encoding="utf-8"))
    assert told["loader_kwargs"]["encoder"] == encoder.config()
    assert told["max_tokens"] == encoder.max_tokens
    assert told["embed_dim"] == encoder.dimension
    loaded = cache.load_results(validate_and_filter=False)
    assert {task.task_name for task in loaded.model_results[0].task_results} == {"LocalRetrieval", "LocalSTS"}


def test_whatever_changes_the_scores_is_another_revision(tiny_model: LanguageModel, encoder: EchoEncoder) -> None:
    mean = np.zeros(encoder.dimension, dtype=np.float32)
    prompt = EchoPrompt("Again: {text} {echo}")
    models = [
        EchoMteb(encoder),
        EchoMteb(EchoEncoder(tiny_model, document_prompt=prompt)),
        EchoMteb(EchoEncoder(tiny_model, layer=2)),
        EchoMteb(encoder, instructions={"STS": "Find it."}),
        EchoMteb(encoder, symmetric="query"),
        EchoMteb(encoder, means=(mean, mean)),
        EchoMteb(encoder, means=(mean, mean + 1)),
    ]
    assert len({model.mteb_model_meta.revision for model in models}) == len(models)
    again = EchoMteb(EchoEncoder(tiny_model, batch_tokens=64))
    assert again.mteb_model_meta.revision == models[0].mteb_model_meta.revision


def test_where_the_model_lies_is_no_other_revision(tiny_folder: Path, encoder: EchoEncoder, tmp_path: Path) -> None:
    moved = shutil.copytree(tiny_folder, tmp_path / "moved")
    model = EchoMteb(EchoEncoder(load_model(str(moved), device="cpu")))
    assert model.mteb_model_meta.name == "echo-index/moved"
    assert model.mteb_model_meta.revision == EchoMteb(encoder).mteb_model_meta.revision


# errors


def test_other_vectors_than_float32_are_refused(encoder: EchoEncoder) -> None:
    with pytest.raises(ModelError, match="'int8' are not supported"):
        mteb.evaluate(EchoMteb(encoder), LocalSTS(), cache=None, encode_kwargs={"precision": "int8"})


def test_a_mean_of_another_length_is_refused(encoder: EchoEncoder) -> None:
    right, wrong = np.zeros(encoder.dimension, dtype=np.float32), np.zeros(3, dtype=np.float32)
    with pytest.raises(ModelError, match=r"the shape \(3,\)"):
        EchoMteb(encoder, means=(right, wrong))
