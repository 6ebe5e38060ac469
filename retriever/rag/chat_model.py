"""LangChain chat model on the weights of the embedding model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from operator import itemgetter
from typing import Any, Literal, cast

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage, SystemMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, Field, InstanceOf, PrivateAttr

from echo_index.embeddings.generation.chat_template import Message, ToolCall, conversation_tokens
from echo_index.embeddings.generation.grammar import Grammar
from echo_index.embeddings.generation.text_generation import Generation
from echo_index.embeddings.models.bundled import DEFAULT_MODEL
from echo_index.embeddings.models.language_model import LanguageModel
from echo_index.embeddings.models.model_loading import load_writer
from echo_index.embeddings.runtime.devices import DeviceChoice
from echo_index.errors import TextError
from echo_index.retriever.rag.local_writer import LocalWriter, visible_pieces, write_text
from echo_index.retriever.rag.tool_calls import ToolCallReader, tool_grammar

_PROVIDER = "echo-index"
_SETTINGS = ("model", "max_tokens", "temperature", "seed", "start_bias")
_Role = Literal["system", "user", "assistant", "tool"]
_ROLES: dict[str, _Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "ai": "assistant",
    "assistant": "assistant",
    "tool": "tool",
}
_JSON_TASK = "Answer with JSON that fits this JSON schema:"


class EchoChatModel(BaseChatModel):
    """A local causal language model that generates text.

    It shares its weights with an encoder of the same model. On a CPU, a model of more than 500 MB is converted to int8
    once, unless it is given as `language_model`.

    An instruction-tuned model is prompted with its chat template, a base model with a text to continue. Each setting
    can also be passed to a call: `chat.invoke("Hello", max_tokens=20)`. Any model writes structured output; a model
    whose chat template has tools, such as Qwen2.5, can also call these.

    Raises (when it generates):
        ModelError: the model does not exist.
        TextError: the conversation is longer than the model's context, or not text, or a setting is invalid.
    """

    model: str = DEFAULT_MODEL
    """Name of an embedded model, folder, GGUF file or hub id."""
    device: DeviceChoice = "auto"
    max_tokens: int = Field(default=256, ge=1)
    """Maximum tokens of an answer."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy decoding; above 0, tokens are sampled."""
    seed: int | None = None
    """Seed of the sampling."""
    stop: list[str] | None = None
    """Strings that stop the answer; they are not part of it."""
    start_bias: dict[str, float] | None = None
    """Added to the logits of the first tokens of these texts where an answer begins."""
    answer_adapter: str | None = "own"
    """Adapter for answers from passages: a folder, "own" for the one that echo-index bundles for the model, if there is
    one, or None. It is used in calls with `answers=True`, as those of `rag_chain` are."""
    language_model: InstanceOf[LanguageModel] | None = Field(default=None, exclude=True, repr=False)
    """A loaded model, used instead of `model` and `device`."""
    _loaded: dict[str, LanguageModel] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any) -> None:
        """Take the model name from a loaded model."""
        if self.language_model is not None:
            self.model = self.language_model.name

    def load(self) -> LanguageModel:
        """Return the model; it is loaded at first use and shared."""
        return self._load_named(self.model)

    def load_answering(self) -> LanguageModel | None:
        """Return the model with its adapter for answers; None if there is none.

        Raises:
            ModelError: the adapter is not one for answers, or does not fit the model.
        """
        return self.local_writer.load_answering()

    @property
    def local_writer(self) -> LocalWriter:
        """The model without LangChain, for greedy decoding."""
        return self._writer(self.model)

    @property
    def fingerprint(self) -> str:
        """Identifies what is written: the model's weights and all settings."""
        model = self.load_answering() or self.load()
        weights = (model if model.generation_adapter else model.without_adapter or model).weights_hash
        settings = [getattr(self, name) for name in (*_SETTINGS, "stop") if name != "model"]
        return f"{weights} {model.generation_mode} {settings}"

    def get_token_ids(self, text: str) -> list[int]:
        """Return the token ids of a text."""
        return self.load().tokenizer.encode(text)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
    ) -> int:
        """Return the number of tokens of a conversation, with the model's chat template or completion format."""
        described = [convert_to_openai_tool(tool) for tool in tools or ()]
        return len(conversation_tokens(self.load(), conversation(messages), tools=described).ids)

    @property
    def _llm_type(self) -> str:
        return _PROVIDER

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in (*_SETTINGS, "answer_adapter", "stop")}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return True: the fields describe the model completely."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the package that exports the class, so that serialized models load if the module moves."""
        return ["echo_index"]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=self.stop if stop is None else stop, **kwargs)
        params["ls_provider"] = _PROVIDER
        return params

    def _resolve_model_profile(self) -> ModelProfile:
        return ModelProfile(text_inputs=True, text_outputs=True, structured_output=True)

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | bool | dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools that it can call.

        Args:
            tools: The tools, in any form that LangChain knows.
            tool_choice: "auto" or None to let the model choose, "none" for no call, "any", "required" or True for a
                call of any tool, or the name of the tool to call.
            **kwargs: Settings of the calls, as for `bind`.

        Raises (when it generates):
            ModelError: the model was not trained to call tools.
            TextError: there is no such tool, or the schema of a tool cannot be followed.
        """
        choice = tool_choice["function"]["name"] if isinstance(tool_choice, dict) else tool_choice
        if isinstance(choice, bool):
            choice = "any" if choice else None
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], tool_choice=choice, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: Literal["json_schema", "json_mode", "function_calling"] = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Return the model as a runnable whose output is an object of a schema.

        Args:
            schema: A Pydantic class, a TypedDict or a JSON Schema.
            include_raw: Return {"raw": message, "parsed": object, "parsing_error": exception or None}.
            method: "json_schema": the text is JSON of the schema, which any model can write. "json_mode": it is any
                JSON object, and the messages say which. "function_calling": the schema is a tool that must be called,
                for models that were trained to call tools.
            strict: Without effect: what is written always fits, unless it is cut at `max_tokens`.
            **kwargs: None are known.
        """
        if kwargs:
            raise TextError(f"with_structured_output has no option {min(kwargs)!r}.")
        if method == "function_calling":
            return super().with_structured_output(schema, include_raw=include_raw)
        parser: Runnable[Any, Any] = JsonOutputParser()
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            parser = PydanticOutputParser(pydantic_object=cast("type[BaseModel]", schema))
        model = self.bind(
            json_schema={"type": "object"} if method == "json_mode" else convert_to_json_schema(schema),
            ls_structured_output_format={"kwargs": {"method": method}, "schema": schema},
        )
        if not include_raw:
            return model | parser
        parse = RunnablePassthrough.assign(
            parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
        ).with_fallbacks([RunnablePassthrough.assign(parsed=lambda _: None)], exception_key="parsing_error")
        return RunnableMap(raw=model) | parse

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop=stop, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        answers = kwargs.pop("answers", False)
        tools, tool_choice = kwargs.pop("tools", None) or (), kwargs.pop("tool_choice", None)
        schema = kwargs.pop("json_schema", None)
        if unknown := kwargs.keys() - set(_SETTINGS):
            raise TextError(
                f"EchoChatModel has no setting {min(unknown)!r}.", remedy=f"Its settings are {', '.join(_SETTINGS)}."
            )
        overrides = {name: value for name, value in kwargs.items() if value is not None}
        settings = {name: getattr(self, name) for name in _SETTINGS} | overrides
        if settings["max_tokens"] < 1:
            raise TextError(f"max_tokens is {settings['max_tokens']}; it must be at least 1.")
        writer = self._writer(settings["model"])
        model = (writer.load_answering() if answers else None) or writer.load()
        if schema is not None:
            messages = [SystemMessage(f"{_JSON_TASK} {json.dumps(schema, ensure_ascii=False)}"), *messages]
        prompt = conversation_tokens(model, conversation(messages), tools=tools)
        stops = self.stop if stop is None else stop
        text = write_text(
            model,
            prompt,
            max_tokens=settings["max_tokens"],
            stop=stops or (),
            start_bias=settings["start_bias"] or {},
            temperature=settings["temperature"],
            seed=settings["seed"],
            grammar=tool_grammar(tools, tool_choice, model.tokenizer) if schema is None else Grammar.of_json(schema),
        )
        calls = ToolCallReader() if tools else None
        with closing(text):
            for piece in visible_pieces(text, model):
                if visible := piece if calls is None else calls.add(piece):
                    yield ChatGenerationChunk(message=AIMessageChunk(content=visible))
        if calls is not None:
            rest, chunks = calls.end()
            if rest or chunks:
                yield ChatGenerationChunk(message=AIMessageChunk(content=rest, tool_call_chunks=chunks))
        yield ChatGenerationChunk(message=_final_chunk(text, prompt_tokens=len(prompt.ids), model=settings["model"]))

    def _writer(self, name: str) -> LocalWriter:
        return LocalWriter(partial(self._load_named, name), self.max_tokens, self.answer_adapter)

    def _load_named(self, name: str) -> LanguageModel:
        if self.language_model is not None and name == self.language_model.name:
            return self.language_model
        if name not in self._loaded:
            self._loaded[name] = load_writer(name, device=self.device)
        return self._loaded[name]


def conversation(messages: Sequence[BaseMessage]) -> list[Message]:
    """Convert LangChain messages; consecutive messages of one role are joined, but for results of tools.

    Raises:
        TextError: there is no message, or one is not text or has an unknown role.
    """
    if not messages:
        raise TextError("The conversation is empty.")
    turns: list[Message] = []
    for message in messages:
        role, text = _role_of(message), _text_of(message)
        calls = tuple(
            ToolCall(call["name"], json.dumps(call["args"], ensure_ascii=False))
            for call in (message.tool_calls if isinstance(message, AIMessage) else ())
        )
        if turns and turns[-1].role == role != "tool":
            texts = "\n\n".join(filter(None, (turns[-1].content, text)))
            turns[-1] = Message(role, texts, (*turns[-1].tool_calls, *calls))
        else:
            turns.append(Message(role, text, calls))
    return turns


def _role_of(message: BaseMessage) -> _Role:
    name = message.role if isinstance(message, ChatMessage) else message.type.removesuffix("MessageChunk").lower()
    if name not in _ROLES:
        raise TextError(f"EchoChatModel cannot read a message of the kind {name!r}: it reads {', '.join(_ROLES)}.")
    return _ROLES[name]


def _text_of(message: BaseMessage) -> str:
    blocks = [message.content] if isinstance(message.content, str) else message.content
    for block in blocks:
        # The calls of a message are read from its field.
        if not isinstance(block, str) and block.get("type") not in {"text", "tool_use", "tool_call"}:
            raise TextError(f"EchoChatModel reads text only; a message holds {block.get('type')!r}.")
    return str(message.text)


def _final_chunk(text: Generation, *, prompt_tokens: int, model: str) -> AIMessageChunk:
    return AIMessageChunk(
        content="",
        usage_metadata=UsageMetadata(
            input_tokens=prompt_tokens, output_tokens=text.tokens, total_tokens=prompt_tokens + text.tokens
        ),
        response_metadata={
            "model_name": model,
            "model_provider": _PROVIDER,
            "finish_reason": text.finish_reason or "stop",
        },
        chunk_position="last",
    )
