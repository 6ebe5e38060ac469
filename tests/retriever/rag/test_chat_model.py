"""EchoChatModel: settings, limits, metadata of answers, and shared weights with the encoder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps, loads
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
)
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField
from passes import recorded_passes
from repository import ROOT
from tiny_models import CHAT_TEMPLATE, llama_config, save_model
from transformers import AutoModelForCausalLM

from echo_index.embeddings.encoder import EchoEncoder
from echo_index.embeddings.generation.chat_template import Message, conversation_tokens
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_model
from echo_index.embeddings.text.tokenizer import ModelTokenizer
from echo_index.errors import ModelError, TextError
from echo_index.indexer.building.build_files import build_index
from echo_index.indexer.sources.source import Source
from echo_index.retriever.rag.adapters import EchoEmbeddings
from echo_index.retriever.rag.chat_model import EchoChatModel, conversation

QUESTION = "The quick brown fox"
MEMORY = """
import json, sys
import psutil
from echo_index.retriever.rag.chat_model import EchoChatModel
from echo_index.retriever.rag.adapters import EchoEmbeddings, EchoRetriever

embeddings = EchoEmbeddings(model="gemma3-270m", device="cpu")
embeddings.embed_query("Hello")
model = embeddings.load().model.without_adapter
weights = model._tensors
for weight in weights.values():
    weight.sum()  # the weights are mapped from a file: only what is read comes into memory
embeddings.load().model.tokenizer.full()  # answers need it all, a question does not
before = psutil.Process().memory_info().rss
chat = EchoChatModel(model="gemma3-270m", device="cpu")
chat.invoke("What is the capital of France?", max_tokens=2)
retriever = EchoRetriever(index_dir=sys.argv[1], mode="dense", device="cpu")
retriever.invoke("Hello")
print(json.dumps({
    "grown": psutil.Process().memory_info().rss - before,
    "weights": sum(weight.nbytes for weight in weights.values()),
    "one": chat.load() is model and embeddings.load().model is retriever.retriever.encoder.model,
}))
"""


class Noted(BaseCallbackHandler):
    """Records the callbacks of a chat model."""

    def __init__(self) -> None:
        self.settings: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.ends = 0

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.settings.append(kwargs["invocation_params"])

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.tokens.append(token)

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.ends += 1


@pytest.fixture
def chat(tiny_model: LanguageModel) -> EchoChatModel:
    return EchoChatModel(model=tiny_model.name, device="cpu", max_tokens=12)


def written(answer: AIMessage) -> int:
    assert answer.usage_metadata is not None
    return answer.usage_metadata["output_tokens"]


def ended(answer: AIMessage) -> str:
    return str(answer.response_metadata["finish_reason"])


def reciting(folder: Path, text: str) -> EchoChatModel:
    """Return a base model that always answers with `text`, in which no character is repeated."""
    config = llama_config(hidden_size=512, head_dim=8, num_hidden_layers=1, tie_word_embeddings=False)
    saved = save_model(folder / "reciting", config)
    whole = AutoModelForCausalLM.from_pretrained(saved)
    state = whole.state_dict()
    for name, weight in state.items():
        weight.fill_(1.0 if "norm" in name else 0.0)
    state["model.embed_tokens.weight"][:, : config.vocab_size].copy_(torch.eye(config.vocab_size))
    vocabulary = ModelTokenizer.load(saved)
    tokens = [vocabulary.encode(character)[0] for character in f":{text}"]
    assert len(set(tokens)) == len(tokens)
    for token, following in zip(tokens, [*tokens[1:], 1], strict=True):
        state["lm_head.weight"][following, token] = 1.0
    whole.save_pretrained(saved)
    model = load_model(str(saved), device="cpu")
    return EchoChatModel(language_model=model)


# how long an answer is


def test_max_tokens_of_the_constructor_and_of_a_call_limit_an_answer(chat: EchoChatModel) -> None:
    assert (written(chat.invoke(QUESTION)), ended(chat.invoke(QUESTION))) == (12, "length")
    assert written(chat.invoke(QUESTION, max_tokens=3)) == 3
    assert written(chat.bind(max_tokens=4).invoke(QUESTION)) == 4
    assert written(chat.invoke(QUESTION)) == 12, "a call's setting is for that call only"


def test_an_answer_that_the_model_ends_itself_says_so(tmp_path: Path) -> None:
    reciter = reciting(tmp_path, "abc")
    answer = reciter.invoke("?")
    assert (answer.content, written(answer), ended(answer)) == ("abc", 3, "stop")
    assert ended(reciter.invoke("?", max_tokens=2)) == "length"


def test_stop_strings_of_the_constructor_and_of_a_call_end_an_answer(tmp_path: Path) -> None:
    model = reciting(tmp_path, "abcdef").load()
    chat = EchoChatModel(language_model=model, stop=["de"])
    answer = chat.invoke("?")
    assert (answer.content, ended(answer)) == ("abc", "stop")
    assert chat.invoke("?", stop=["b"]).content == "a", "those of a call take the place of the constructor's"
    assert chat.invoke("?", stop=[]).content == "abcdef"
    assert "".join(str(piece.text) for piece in chat.stream("?", stop=["ef", "cd"])) == "ab"


def test_token_counts_are_those_that_the_model_processed(chat: EchoChatModel) -> None:
    messages = [SystemMessage("Be brief."), HumanMessage(QUESTION)]
    turns = conversation_tokens(chat.load(), [Message("system", "Be brief."), Message("user", QUESTION)])
    for parts_read in (2, 1):  # the system message is not read again
        with recorded_passes() as passes:
            usage = chat.invoke(messages).usage_metadata
        assert usage is not None
        assert usage["input_tokens"] == len(turns.ids) == chat.get_num_tokens_from_messages(messages)
        *first_parts, last_part = passes[:parts_read]
        assert [len(ids) for ids in first_parts] == [*turns.ends][: parts_read - 1]
        assert len(last_part) == len(turns.ids) - turns.ends[0]
        assert usage["output_tokens"] == len(passes) - len(first_parts)
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_the_tokens_of_a_text_are_those_of_the_model(chat: EchoChatModel) -> None:
    assert chat.get_token_ids("<bos> wizards") == chat.load().tokenizer.encode("<bos> wizards")
    assert chat.get_num_tokens("Pack my box") == len(chat.load().tokenizer.encode("Pack my box"))


def of_length(chat: EchoChatModel, tokens: int) -> str:
    """Return a text whose prompt has this many tokens."""
    frame = chat.get_num_tokens_from_messages([HumanMessage("")])
    text = "x" * (tokens - frame)  # one token each
    assert chat.get_num_tokens_from_messages([HumanMessage(text)]) == tokens
    return text


def test_a_conversation_longer_than_the_context_is_refused_with_both_numbers_and_never_cut(chat: EchoChatModel) -> None:
    for tokens in (512, 700):
        with recorded_passes() as passes, pytest.raises(TextError, match=rf"\b{tokens} tokens.* holds 512\."):
            chat.invoke(of_length(chat, tokens))
        assert passes == []


def test_an_answer_takes_no_more_than_the_room_that_is_left(chat: EchoChatModel) -> None:
    with recorded_passes() as passes:
        answer = chat.invoke(of_length(chat, 509), max_tokens=50)
    assert (len(passes[0]), written(answer), ended(answer)) == (509, 3, "length")


# how tokens are chosen


def test_a_seed_draws_the_same_answer_again_and_another_seed_another(chat: EchoChatModel) -> None:
    drawing = EchoChatModel(model=chat.model, device="cpu", max_tokens=12, temperature=1.0, seed=7)
    assert drawing.invoke(QUESTION).content == drawing.invoke(QUESTION).content
    assert drawing.invoke(QUESTION, seed=8).content != drawing.invoke(QUESTION).content
    assert chat.invoke(QUESTION, temperature=1.0, seed=7).content == drawing.invoke(QUESTION).content
    assert drawing.invoke(QUESTION, temperature=0).content == chat.invoke(QUESTION).content


@pytest.mark.parametrize("settings", [{"max_tokens": 0}, {"temperature": -0.1}, {"stop": "x"}, {"device": "tpu"}])
def test_a_setting_that_means_nothing_is_refused_by_the_constructor(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        EchoChatModel(**settings)


@pytest.mark.parametrize("setting", ["top_p", "grammar", "device", "language_model"])
def test_a_setting_that_a_call_does_not_have_is_refused_by_its_name(chat: EchoChatModel, setting: str) -> None:
    with pytest.raises(TextError, match=f"'{setting}'"):
        chat.invoke(QUESTION, **{setting: None})


def test_a_model_that_is_not_there_is_refused_when_it_is_to_write() -> None:
    chat = EchoChatModel(model="/no/such/model")
    with pytest.raises(ModelError, match="no model '/no/such/model'"):
        chat.invoke(QUESTION)


# what it reads


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (
            HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image", "url": "https://x/y.png"}]),
            "image",
        ),
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:,"}}]), "image_url"),
        (FunctionMessage("42", name="f"), "function"),
        (ChatMessage("x", role="critic"), "critic"),
    ],
)
def test_what_is_not_text_of_a_known_speaker_is_refused_by_its_name(
    chat: EchoChatModel, message: BaseMessage, named: str
) -> None:
    with recorded_passes() as passes, pytest.raises(TextError, match=f"'{named}'"):
        chat.invoke([HumanMessage("Look:"), message])
    assert passes == []


def test_an_empty_conversation_is_refused(chat: EchoChatModel) -> None:
    with pytest.raises(TextError, match="The conversation is empty"):
        chat.invoke([])


def test_each_kind_of_message_is_the_turn_of_its_speaker() -> None:
    assert conversation(
        [
            SystemMessage("Be brief."),
            ChatMessage("Hello", role="user"),
            AIMessage([{"type": "text", "text": "Hello"}]),
            HumanMessage(["Who are ", "you?"], name="ann"),
            ChatMessage("A model.", role="assistant"),
        ]
    ) == [
        Message("system", "Be brief."),
        Message("user", "Hello"),
        Message("assistant", "Hello"),
        Message("user", "Who are you?"),
        Message("assistant", "A model."),
    ]


def test_what_one_speaker_says_in_several_messages_is_one_turn() -> None:
    messages = [SystemMessage("a"), SystemMessage("b"), HumanMessage("c"), ChatMessage("d", role="human")]
    assert conversation(messages) == [Message("system", "a\n\nb"), Message("user", "c\n\nd")]


def test_a_streamed_answer_put_together_can_be_part_of_the_conversation(chat: EchoChatModel) -> None:
    first, *others = chat.stream(QUESTION)
    whole = sum(others, first)
    told = [HumanMessage(QUESTION), whole, HumanMessage("And then?")]
    assert conversation(told)[1] == Message("assistant", str(chat.invoke(QUESTION).content))
    assert chat.invoke(told).content


# streaming, callbacks and LangChain's ways to call


def test_the_first_piece_comes_before_the_answer_is_written(chat: EchoChatModel) -> None:
    with recorded_passes() as passes:
        stream = chat.stream(QUESTION, max_tokens=50)
        assert next(stream).content
        assert len(passes) < 10
        assert len([*stream]) > 20
        assert len(passes) == 50


async def test_streamed_and_whole_and_asynchronous_answers_are_the_same(chat: EchoChatModel) -> None:
    answer = chat.invoke(QUESTION)
    first, *others = chat.stream(QUESTION)
    for same in (
        sum(others, first),
        await chat.ainvoke(QUESTION),
        sum([chunk async for chunk in chat.astream(QUESTION)][1:], first),
    ):
        assert (same.content, same.usage_metadata) == (answer.content, answer.usage_metadata)
        assert same.response_metadata == answer.response_metadata
    assert answer.response_metadata["model_name"] == chat.model


async def test_several_conversations_at_once_are_answered_each_for_itself(chat: EchoChatModel) -> None:
    questions = [QUESTION, "Pack my box", "Seven wizards"]
    alone = [chat.invoke(question).content for question in questions]
    assert len(set(alone)) == 3
    assert [answer.content for answer in chat.batch([*questions])] == alone
    assert [answer.content for answer in await chat.abatch([*questions])] == alone


def test_a_callback_receives_the_settings_and_each_token(chat: EchoChatModel) -> None:
    noted = Noted()
    pieces = [chunk.content for chunk in chat.stream(QUESTION, {"callbacks": [noted]}, max_tokens=6, stop=["zzz"])]
    assert noted.tokens == pieces
    assert len([piece for piece in pieces if piece]) > 2
    assert noted.ends == 1
    [settings] = noted.settings
    expected = {"model": chat.model, "max_tokens": 6, "temperature": 0.0, "seed": None, "stop": ["zzz"]}
    assert expected.items() <= settings.items()


def test_it_stands_in_a_chain_between_a_prompt_and_a_parser(chat: EchoChatModel) -> None:
    chain = ChatPromptTemplate([("system", "Be brief."), ("human", "{question}")]) | chat | StrOutputParser()
    answer = chat.invoke([SystemMessage("Be brief."), HumanMessage(QUESTION)]).content
    assert chain.invoke({"question": QUESTION}) == answer
    assert "".join(chain.stream({"question": QUESTION})) == answer


def test_a_model_that_is_chosen_at_run_time_writes_also_after_another_has_written(
    chat: EchoChatModel, tmp_path: Path
) -> None:
    other = str(save_model(tmp_path, llama_config(), seed=3, chat_template=CHAT_TEMPLATE))
    expected = EchoChatModel(model=other, device="cpu", max_tokens=12).invoke(QUESTION).content
    before = chat.invoke(QUESTION).content
    assert before != expected
    chosen = chat.configurable_fields(model=ConfigurableField(id="model"))
    assert chosen.invoke(QUESTION, {"configurable": {"model": other}}).content == expected
    called = chat.invoke(QUESTION, model=other)
    assert (called.content, called.response_metadata["model_name"]) == (expected, other)
    assert chat.invoke(QUESTION).content == before


# caches and serialization


@pytest.mark.parametrize(
    "settings",
    [{"max_tokens": 5}, {"temperature": 0.5}, {"seed": 3}, {"stop": ["x"]}, {"model": "other"}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_cache_keeps_the_answers_of_two_settings_apart(
    tiny_model: LanguageModel, tmp_path: Path, settings: dict[str, Any]
) -> None:
    if "model" in settings:
        settings = {"model": str(save_model(tmp_path, llama_config(), seed=3, chat_template=CHAT_TEMPLATE))}
    cache = InMemoryCache()
    fields: dict[str, Any] = {"model": tiny_model.name, "device": "cpu", "max_tokens": 6, "cache": cache}
    chat = EchoChatModel(**fields)
    first = chat.invoke(QUESTION).content
    with recorded_passes() as passes:
        assert EchoChatModel(**fields).invoke(QUESTION).content == first
        assert chat.invoke(QUESTION).content == first
        assert passes == [], "the answer came from the cache"
    EchoChatModel(**{**fields, **settings}).invoke(QUESTION)
    assert len(cache._cache) == 2
    chat.invoke(QUESTION, **settings)
    assert len(cache._cache) == 3


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_it_comes_back_from_its_serialized_form_without_the_loaded_model(chat: EchoChatModel) -> None:
    chat = EchoChatModel(language_model=chat.load(), device="cpu", max_tokens=7, temperature=0.5, seed=3, stop=["zzz"])
    answer = chat.invoke(QUESTION).content
    told = dumps(chat)
    kwargs = json.loads(told)["kwargs"]
    settings = {"model", "answer_adapter", "device", "max_tokens", "temperature", "seed", "stop", "output_version"}
    assert kwargs.keys() <= settings
    again = loads(told, allowed_objects=[EchoChatModel], valid_namespaces=["echo_index"])
    assert again.language_model is None
    assert again.asdict() == chat.asdict()
    assert again.invoke(QUESTION).content == answer


# one set of weights


def test_it_is_the_model_of_the_embeddings_and_never_loaded_twice(chat: EchoChatModel) -> None:
    embeddings = EchoEmbeddings(model=chat.model, device="cpu")
    assert chat.load() is embeddings.load().model
    assert EchoChatModel(language_model=embeddings.load().model).load() is chat.load()


@pytest.mark.filterwarnings("ignore")  # peft's own
def test_beside_an_adapter_it_writes_with_the_unmodified_weights_that_are_in_memory_already(
    tiny_folder: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), lora).save_pretrained(tmp_path / "adapter")
    embeddings = EchoEmbeddings(model=str(tiny_folder), adapter=tmp_path / "adapter", device="cpu")
    plain = EchoEmbeddings(model=str(tiny_folder), device="cpu")
    assert embeddings.embed_query("fox") != pytest.approx(plain.embed_query("fox"), abs=1e-3)

    for chat in (
        EchoChatModel(model=str(tiny_folder), device="cpu", max_tokens=12),
        EchoChatModel(language_model=embeddings.load().model, max_tokens=12),
    ):
        assert [weight.data_ptr() for weight in chat.load().causal_lm.parameters()] == [
            weight.data_ptr() for weight in embeddings.load().model.causal_lm.parameters()
        ]
        prompt = torch.tensor([conversation_tokens(chat.load(), [Message("user", QUESTION)]).ids])
        untouched = AutoModelForCausalLM.from_pretrained(tiny_folder)
        expected = untouched.generate(prompt, do_sample=False, max_new_tokens=12, pad_token_id=1)[0, prompt.shape[1] :]
        assert chat.invoke(QUESTION).content == chat.load().tokenizer.decode(expected.tolist()).lstrip()


@pytest.mark.model
def test_embedding_searching_and_answering_in_one_process_hold_the_weights_once(
    gemma: LanguageModel, tmp_path: Path
) -> None:
    (tmp_path / "greeting.md").write_text("# Greeting\n\nHello.\n", encoding="utf-8")
    tuned = load_model("gemma3-270m", adapter="own", device="cpu")
    build_index([Source.parse(str(tmp_path))], tmp_path / ".echo-index", encoder=EchoEncoder(tuned))
    command = [sys.executable, "-c", MEMORY, str(tmp_path / ".echo-index")]
    told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=120)
    found = json.loads(told.stdout)
    assert found["weights"] > 500_000_000
    assert found["grown"] < found["weights"] / 4
    assert found["one"]


# the form of a base model


def test_the_space_and_the_empty_lines_before_a_base_models_answer_are_left_out(tmp_path: Path) -> None:
    chat = reciting(tmp_path, "\n yes")
    assert [chunk.content for chunk in chat.stream("?")] == ["y", "e", "s", ""]


def test_a_base_models_answer_ends_at_the_end_of_the_line(tmp_path: Path) -> None:
    chat = reciting(tmp_path, " yes\nno")
    with recorded_passes() as passes:
        answer = chat.invoke("?")
    assert (answer.content, ended(answer)) == ("yes", "stop")
    assert written(answer) == len(passes) == len(" yes\n")


@pytest.mark.model
def test_the_base_model_answers_in_one_line(gemma: LanguageModel) -> None:
    chat = EchoChatModel(model="gemma3-270m", device="cpu", max_tokens=8)
    assert chat.invoke("What is the capital of France?").content == "Paris"
    greeting = str(chat.invoke("Hello").content)
    assert greeting and greeting == greeting.lstrip() and "\n" not in greeting


@pytest.mark.model
def test_the_chat_model_answers_in_its_own_form(smollm: LanguageModel) -> None:
    chat = EchoChatModel(model="smollm2-135m-instruct", device="cpu", max_tokens=8)
    assert "Paris" in str(chat.invoke("What is the capital of France?").content)


@pytest.mark.parametrize("most", [0, -1])
def test_a_call_for_no_tokens_at_all_is_refused(tiny_model: LanguageModel, most: int) -> None:
    chat = EchoChatModel(language_model=tiny_model, max_tokens=3)
    with pytest.raises(TextError, match=f"max_tokens is {most}; it must be at least 1"):
        chat.invoke("The quick", max_tokens=most)
    assert chat.invoke("The quick", max_tokens=None, temperature=None).text == chat.invoke("The quick").text


def test_a_bias_for_no_text_is_refused(tiny_model: LanguageModel) -> None:
    chat = EchoChatModel(language_model=tiny_model, start_bias={"": 1.0})
    with pytest.raises(TextError, match="A text of start_bias is empty"):
        chat.invoke("Hello")


def test_the_fingerprint_tells_weights_and_settings_apart(tiny_model: LanguageModel, tmp_path: Path) -> None:
    other = load_model(str(save_model(tmp_path, llama_config(), seed=5, chat_template=CHAT_TEMPLATE)), device="cpu")
    chats = [
        EchoChatModel(language_model=tiny_model),
        EchoChatModel(language_model=other),
        EchoChatModel(language_model=tiny_model, max_tokens=3),
        EchoChatModel(language_model=tiny_model, temperature=0.5),
        EchoChatModel(language_model=tiny_model, stop=["."]),
        EchoChatModel(language_model=tiny_model, start_bias={"No": 1.0}),
    ]
    assert len({chat.fingerprint for chat in chats}) == len(chats)
    assert EchoChatModel(language_model=tiny_model).fingerprint == chats[0].fingerprint
