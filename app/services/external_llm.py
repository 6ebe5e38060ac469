"""A name to another model that writes the answers, and its errors to ours. Knows nothing of indexes and passages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

from echo_index.errors import EchoIndexError, MissingPackage, ModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from openai import OpenAI

URL_KEY = "ECHO_INDEX_LLM_KEY"
"""The environment variable with the key for a URL; OpenAI's own key is never sent to another host."""

_FORMS = (
    "Name it as PROVIDER:MODEL, such as openai:gpt-4o-mini or ollama:llama3.2, or by an OpenAI-compatible URL, such as "
    "http://127.0.0.1:8080/v1 or https://host/v1#MODEL."
)
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 600
_LONGEST_REASON = 300
_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET")
_SHORTEST_SECRET = 6
_KEY_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9_]*_API_KEY\b")
_MASKED_KEY = re.compile(r"(?<![\w-])(?:[\w-]*\*{3,}[\w-]*|[\w-]+\.{3}[\w-]+)")
_USER_AND_QUERY = re.compile(r"://(?:[^/?#\s]*@)?([^?\s]*)(?:\?[^#\s]*)?")


def open_llm(name: str) -> BaseChatModel:
    """Open the chat model with this name; nothing but a key is sent yet, and that only to a URL that names no model.

    Raises:
        MissingPackage: the model's package is not installed.
        ModelError: the name is of no form that is known, a key is missing, or a server does not list its models.
    """
    provider, _, model = name.partition(":")
    with translate_llm_errors(name):
        if provider.lower() in ("http", "https"):
            return _at_url(name)
        if provider and model:
            return _of_provider(name, provider, model)
    raise ModelError(f"The name {redact(name)!r} is not one of a language model.", remedy=_FORMS)


@contextmanager
def translate_llm_errors(name: str) -> Iterator[None]:
    """Turn whatever another model raises into one sentence that holds no secret.

    Raises:
        ModelError: it failed.
    """
    try:
        yield
    except EchoIndexError:
        raise
    except ImportError as error:
        raise _missing_package(error) from None
    except Exception as error:  # noqa: BLE001 - every provider has errors of its own
        # A traceback of the cause could show a key.
        raise ModelError(f"The language model {redact(name)} failed: {_reason(error)}") from None


@contextmanager
def untraced() -> Iterator[None]:
    """Keep LangChain from reporting questions and answers to LangSmith, whatever the environment says."""
    from langsmith import tracing_context

    # Where these old variables ask for traces and there are none, LangChain refuses to run.
    with _hidden("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"), tracing_context(enabled=False):
        yield


def redact(text: str) -> str:
    """Return a text without the keys of the environment, what is left of masked ones, and passwords in URLs."""
    values = (value.strip() for name, value in os.environ.items() if name.endswith(_SECRET_NAMES))
    for secret in sorted((value for value in values if len(value) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, "…")
    return _USER_AND_QUERY.sub(r"://\1", _MASKED_KEY.sub("…", text))


def _of_provider(name: str, provider: str, model: str) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        return init_chat_model(model, model_provider=provider)
    except Exception as error:
        reason = str(error)
        if reason.startswith("Unsupported provider"):
            raise ModelError(f"There is no provider {redact(provider)!r} of language models.", remedy=_FORMS) from None
        variable = _KEY_VARIABLE.search(reason)
        if variable is None or os.environ.get(variable[0]):
            raise
        remedy = f"Set the environment variable {variable[0]}."
        raise ModelError(f"The language model {redact(name)} needs a key.", remedy=remedy) from None


def _at_url(name: str) -> BaseChatModel:
    """Open a model behind a URL, with plain chat completions: few servers know OpenAI's other interface."""
    from langchain.chat_models import init_chat_model
    from openai import OpenAI, Timeout

    url, model = urldefrag(name)
    if not urlsplit(url).hostname or urlsplit(url).query:
        raise ModelError(f"{redact(url)} is not the URL of a language model.", remedy=_FORMS)
    key = os.environ.get(URL_KEY, "").strip() or "none"
    timeout = Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    # What is set up for OpenAI, such as OPENAI_CUSTOM_HEADERS, would go to the other host in spite of the key here.
    with _hidden("OPENAI_"):
        client = OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=1)
    model = model or _first_model(client, url)
    with _hidden("OPENAI_"):
        return init_chat_model(
            model,
            model_provider="openai",
            base_url=url,
            api_key=key,
            timeout=timeout,
            max_retries=1,
            use_responses_api=False,
        )


def _first_model(client: OpenAI, url: str) -> str:
    for model in client.models.list():
        return model.id
    raise ModelError(f"The server at {redact(url)} lists no model.", remedy=f"Name one: {redact(url)}#MODEL")


@contextmanager
def _hidden(*prefixes: str) -> Iterator[None]:
    """Take the variables whose names begin so out of the environment for a moment."""
    hidden = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith(prefixes)}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _missing_package(error: ImportError) -> MissingPackage:
    said = re.search(r"pip install ([\w-]+)", str(error))
    package = said[1] if said else (error.name or "langchain").split(".")[0].replace("_", "-")
    ours = not said or package in ("langchain-openai", "langchain-ollama")
    install = "'echo-index[llm]'" if ours else package
    return MissingPackage(f"The option --llm needs the package {package}.", remedy=f"Install it: pip install {install}")


def _reason(error: BaseException) -> str:
    """Return the first line of what an error says, and of what caused it: 'Connection error.' alone says little."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [(redact(str(each)).strip() or type(each).__name__).splitlines()[0] for each in (error, cause)]
    reason = " ".join(dict.fromkeys(lines))[:_LONGEST_REASON].rstrip(" .:")
    return f"{reason}."
