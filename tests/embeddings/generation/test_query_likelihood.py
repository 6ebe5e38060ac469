"""Query likelihood: equal to that of transformers, independent of the batch, and highest for the answer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from passes import recorded_batches
from threads import run_together
from tiny_models import ARCHITECTURES, llama_config, save_model

from echo_index.embeddings.decoder.linear import Precision
from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.query_likelihood import QueryLikelihood
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.likelihood_prompt import LikelihoodPrompt, LikelihoodTokens
from echo_index.errors import ModelError, PromptError, TextError

PASSAGES = [
    "The quick brown fox jumps over the lazy dog.",
    "Seven wizards quietly judge my vow. " * 6,
    "Pack my box with five dozen liquor jugs, and write the report before the meeting on Monday. " * 3,
    "x",
]
QUESTION = "Who jumps over the lazy dog?"


def tokens_of(model: LanguageModel, question: str, passages: list[str]) -> LikelihoodTokens:
    return model.profile.likelihood.assemble(
        model.tokenizer, passages, question, max_tokens=model.profile.max_tokens, context=model.context
    )


@torch.inference_mode()
def scores_by_transformers(model: LanguageModel, tokens: LikelihoodTokens) -> list[float]:
    """Return the mean log probability of the query after each prompt, one prompt at a time."""
    means = []
    for prompt in tokens.prompts:
        ids = torch.tensor([[*prompt, *tokens.query]])
        logits = model.causal_lm(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].double()
        likely = logits.log_softmax(dim=-1)[range(len(tokens.query)), list(tokens.query)]
        means.append(float(likely.mean()))
    return means


def test_scores_equal_transformers_for_every_architecture(any_model: LanguageModel) -> None:
    expected = scores_by_transformers(any_model, tokens_of(any_model, QUESTION, PASSAGES))
    found = QueryLikelihood(any_model).score(QUESTION, PASSAGES)
    assert found.dtype == np.float32
    assert found == pytest.approx(expected, abs=1e-3)
    assert np.ptp(found) > 0.01


def test_other_chunks_of_a_batch_do_not_change_a_score(any_model: LanguageModel) -> None:
    likelihood = QueryLikelihood(any_model)
    together = likelihood.score(QUESTION, PASSAGES * 3)
    alone = [likelihood.score(QUESTION, [passage])[0] for passage in PASSAGES]
    assert together == pytest.approx(alone * 3, abs=1e-4)
    reversed_scores = likelihood.score(QUESTION, PASSAGES[::-1])
    assert reversed_scores[::-1] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_a_query_of_one_token_no_chunks_and_slices_of_one_row(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES[architecture]())), device="cpu")
    monkeypatch.setattr("echo_index.embeddings.generation.query_likelihood._MAX_LOGITS", 1)
    likelihood = QueryLikelihood(model, prompt=LikelihoodPrompt("{passage}{question}"))
    tokens = LikelihoodPrompt("{passage}{question}").assemble(
        model.tokenizer, PASSAGES, "?", max_tokens=256, context=512
    )
    assert len(tokens.query) == 1
    assert likelihood.score("?", PASSAGES) == pytest.approx(scores_by_transformers(model, tokens), abs=1e-3)
    assert likelihood.score(QUESTION, []).shape == (0,)


def test_a_model_that_always_returns_all_logits_gives_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(str(save_model(tmp_path, ARCHITECTURES["gpt2"]())), device="cpu")
    expected = scores_by_transformers(model, tokens_of(model, QUESTION, PASSAGES))
    kind, forward = type(model.causal_lm), type(model.causal_lm).forward

    def of_all(self: Any, input_ids: torch.Tensor, use_cache: bool) -> Any:
        return forward(self, input_ids=input_ids, use_cache=use_cache)

    monkeypatch.setattr(kind, "forward", of_all)
    assert QueryLikelihood(model).score(QUESTION, PASSAGES) == pytest.approx(expected, abs=1e-3)


def test_many_chunks_are_batched(tiny_model: LanguageModel) -> None:
    with recorded_batches() as batches:
        QueryLikelihood(tiny_model).score(QUESTION, [PASSAGES[1]] * 30)
    assert len(batches) > 1
    assert sum(batches) == 30


def test_concurrent_scores_and_embeddings_do_not_interfere(tiny_model: LanguageModel) -> None:
    likelihood, encoder = QueryLikelihood(tiny_model), EchoEncoder(tiny_model)
    questions = [QUESTION, "What do wizards judge?", "my box"]
    expected = [likelihood.score(question, PASSAGES * 4) for question in questions]
    vectors = encoder.encode_queries(questions)
    wrong: list[str] = []

    def ask(number: int) -> None:
        for _ in range(5):
            if not np.array_equal(likelihood.score(questions[number], PASSAGES * 4), expected[number]):
                wrong.append(questions[number])

    def encode() -> None:
        for _ in range(10):
            if not np.array_equal(encoder.encode_queries(questions), vectors):
                wrong.append("vectors")

    run_together([*(partial(ask, number) for number in range(3)), *[encode] * 2])
    assert wrong == []


def test_int8_scores_are_close(tmp_path: Path) -> None:
    model = load_model(str(save_model(tmp_path, llama_config(initializer_range=0.1))), device="cpu")
    exact, fast = (QueryLikelihood(model, precision=precision) for precision in (Precision.FP32, Precision.INT8))
    assert fast.score(QUESTION, PASSAGES) == pytest.approx(exact.score(QUESTION, PASSAGES), abs=0.1)
    assert not np.array_equal(fast.score(QUESTION, PASSAGES), exact.score(QUESTION, PASSAGES))


FACTS = {
    "What do cats do when they are content?": "Cats purr when they are content, and sometimes when they are ill.",
    "When does the train to the coast leave?": "The train to the coast leaves at noon from platform four.",
    "Who was the first person on the moon?": "In July 1969 Neil Armstrong stepped out of the lunar module.",
    "How is bread made?": "Flour, water, salt and yeast are kneaded, left to rise, and baked in a hot oven.",
    "What is the largest animal in the sea?": "The blue whale grows to thirty metres and lives on krill.",
}


@pytest.mark.model
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_the_default_model_scores_the_answer_of_a_question_highest(gemma: LanguageModel, precision: Precision) -> None:
    likelihood = QueryLikelihood(gemma, precision=precision)
    for number, question in enumerate(FACTS):
        assert int(likelihood.score(question, [*FACTS.values()]).argmax()) == number


@pytest.mark.model
def test_scores_of_the_default_model_equal_transformers(gemma: LanguageModel) -> None:
    [question, *_], passages = FACTS, [*FACTS.values()][:2]
    expected = scores_by_transformers(gemma, tokens_of(gemma, question, passages))
    assert QueryLikelihood(gemma).score(question, passages) == pytest.approx(expected, abs=1e-3)


# The prompt


def test_a_prompt_is_assembled_from_pieces(gemma: LanguageModel) -> None:
    prompt = LikelihoodPrompt("{{Passage}}: {passage}\nQuestion: {question}")
    tokens = prompt.assemble(gemma.tokenizer, ["one two", "three"], "Who goes?", max_tokens=99, context=999)
    decode = gemma.tokenizer.decode
    assert [decode(ids) for ids in tokens.prompts] == ["{Passage}: one two\nQuestion:", "{Passage}: three\nQuestion:"]
    assert decode(tokens.query) == " Who goes?"
    assert {ids[: tokens.fixed] for ids in tokens.prompts} == {
        (gemma.tokenizer.bos_id, *gemma.tokenizer.encode("{Passage}:"))
    }
    assert [*tokens.prompts[0], *tokens.query] == [
        gemma.tokenizer.bos_id,
        *gemma.tokenizer.encode("{Passage}: one two\nQuestion: Who goes?"),
    ]


def test_long_chunks_and_queries_are_truncated(tiny_model: LanguageModel) -> None:
    prompt, vocabulary = LikelihoodPrompt("{passage} {question}"), tiny_model.tokenizer
    passage = "seven wizards quietly judge my vow " * 9
    cut = prompt.assemble(vocabulary, [passage], passage, max_tokens=7, context=999)
    assert list(cut.prompts[0]) == [vocabulary.bos_id, *vocabulary.encode(passage)[:7]]
    assert list(cut.query) == vocabulary.encode(f" {passage}")[:7]
    narrow = prompt.assemble(vocabulary, [passage], QUESTION, max_tokens=99, context=len(cut.query) + 30)
    assert len(narrow.prompts[0]) + len(narrow.query) == len(cut.query) + 30


def test_empty_or_invalid_texts_are_refused(tiny_model: LanguageModel) -> None:
    prompt, vocabulary = LikelihoodPrompt("{passage} {question}"), tiny_model.tokenizer
    for question, passages, message in (
        (" \n", ["a"], "The question is empty"),
        ("a", ["b", " "], "Passage 1 of 2 is empty"),
        ("a", ["\ud800"], "not valid Unicode"),
    ):
        with pytest.raises(TextError, match=message):
            prompt.assemble(vocabulary, passages, question, max_tokens=9, context=99)
    with pytest.raises(ModelError, match="reads 9 tokens at most: too few"):
        prompt.assemble(vocabulary, ["a"], QUESTION, max_tokens=99, context=9)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("Passage: {passage}", "does not lead from a passage to a question"),
        ("{question}", "does not lead from a passage to a question"),
        ("{question} {passage}", "does not lead from a passage to a question"),
        ("{passage} {question}?", "does not lead from a passage to a question"),
        ("{passage} {passage} {question}", "the slot {passage} more than once"),
        ("{text} {question}", "The slots are {passage} and {question}."),
        ("{passage {question}", "cannot be read"),
    ],
)
def test_an_invalid_template_is_refused(template: str, sentence: str) -> None:
    with pytest.raises(PromptError) as refusal:
        LikelihoodPrompt(template)
    assert sentence in str(refusal.value)
    assert repr(template) in refusal.value.message
