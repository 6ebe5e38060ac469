"""Open language models of other providers by name, and translate their errors without showing secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urlsplit

from echo_index.errors import EchoIndexError, MissingPackage, ModelError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from openai import OpenAI

URL_KEY = "ECHO_INDEX_LLM_KEY"
"""Environment variable with the key for a URL; OPENAI_API_KEY is never sent to another host."""

_NAME_FORMATS = (
    "Name it as PROVIDER:MODEL, such as openai:gpt-4o-mini or ollama:llama3.2, or by an OpenAI-compatible URL, such as "
    "http://127.0.0.1:8080/v1 or https://host/v1#MODEL."
)
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 600
_MAX_REASON_CHARACTERS = 300
_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET")
_MIN_SECRET_CHARACTERS = 6
_KEY_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9_]*_API_KEY\b")
_MASKED_KEY = re.compile(r"(?<![\w-])(?:[\w-]*\*{3,}[\w-]*|[\w-]+\.{3}[\w-]+)")
_USER_AND_QUERY = re.compile(r"://(?:[^/?#\s]*@)?([^?\s]*)(?:\?[^#\s]*)?")


def open_llm(name: str) -> BaseChatModel:
    """Open a chat model by PROVIDER:MODEL or by the URL of an OpenAI-compatible server.

    Only a URL without a model name causes a request: the server is asked for the list of its models.

    Raises:
        MissingPackage: the package of the provider is not installed.
        ModelError: the name has an unknown format, a key is missing, or a server does not list its models.
    """
    provider, _, model = name.partition(":")
    with translate_llm_errors(name):
        if provider.lower() in ("http", "https"):
            return _open_url(name)
        if provider and model:
            return _open_provider(name, provider, model)
    raise ModelError(f"The name {redact(name)!r} is not the name of a language model.", remedy=_NAME_FORMATS)


@contextmanager
def translate_llm_errors(name: str) -> Iterator[None]:
    """Translate any exception of another model into a ModelError of one sentence without secrets.

    Raises:
        MissingPackage: the package of the provider is not installed.
        ModelError: the model failed.
    """
    try:
        yield
    except EchoIndexError:
        raise
    except ImportError as error:
        raise _missing_package(error) from None
    except Exception as error:  # noqa: BLE001 - each provider has its own exception classes
        # From None: the traceback of the cause could show a key.
        raise ModelError(f"The language model {redact(name)} failed: {_reason(error)}") from None


@contextmanager
def answering(llm: str | None) -> Iterator[None]:
    """Let a model write answers: nothing is traced, and errors of an external model, which `llm` names, are translated.

    Raises:
        MissingPackage, ModelError: as in `translate_llm_errors`.
    """
    with nullcontext() if llm is None else translate_llm_errors(llm), untraced():
        yield


@contextmanager
def untraced() -> Iterator[None]:
    """Disable LangSmith tracing, which would send questions and answers away, whatever the environment says."""
    from langsmith import tracing_context

    # LangChain refuses to run if these old variables are set and tracing is off.
    with _without_variables("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER"), tracing_context(enabled=False):
        yield


def redact(text: str) -> str:
    """Return a text without keys from the environment, partly masked keys, and passwords and queries of URLs."""
    values = (value.strip() for name, value in os.environ.items() if name.endswith(_SECRET_NAMES))
    for secret in sorted((value for value in values if len(value) >= _MIN_SECRET_CHARACTERS), key=len, reverse=True):
        text = text.replace(secret, "…")
    return _USER_AND_QUERY.sub(r"://\1", _MASKED_KEY.sub("…", text))


def _open_provider(name: str, provider: str, model: str) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        return init_chat_model(model, model_provider=provider)
    except Exception as error:
        reason = str(error)
        if reason.startswith("Unsupported provider"):
            raise ModelError(
                f"There is no provider {redact(provider)!r} of language models.", remedy=_NAME_FORMATS
            ) from None
        variable = _KEY_VARIABLE.search(reason)
        if variable is None or os.environ.get(variable[0]):
            raise
        remedy = f"Set the environment variable {variable[0]}."
        raise ModelError(f"The language model {redact(name)} needs a key.", remedy=remedy) from None


def _open_url(name: str) -> BaseChatModel:
    """Open a model of an OpenAI-compatible server by chat completions; few servers support the responses API."""
    from langchain.chat_models import init_chat_model
    from openai import OpenAI, Timeout

    url, model = urldefrag(name)
    if not urlsplit(url).hostname or urlsplit(url).query:
        raise ModelError(f"{redact(url)} is not the URL of a language model.", remedy=_NAME_FORMATS)
    key = os.environ.get(URL_KEY, "").strip() or "none"
    timeout = Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    # Other settings for OpenAI, such as OPENAI_CUSTOM_HEADERS, would be sent to this host although the key is replaced.
    with _without_variables("OPENAI_"):
        client = OpenAI(base_url=url, api_key=key, timeout=timeout, max_retries=1)
    model = model or _first_model(client, url)
    with _without_variables("OPENAI_"):
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
    raise ModelError(f"The server at {redact(url)} lists no models.", remedy=f"Name one: {redact(url)}#MODEL")


@contextmanager
def _without_variables(*prefixes: str) -> Iterator[None]:
    """Remove the environment variables with these prefixes for the duration of the block."""
    removed = {name: os.environ.pop(name) for name in tuple(os.environ) if name.startswith(prefixes)}
    try:
        yield
    finally:
        os.environ.update(removed)


def _missing_package(error: ImportError) -> MissingPackage:
    hint = re.search(r"pip install ([\w-]+)", str(error))
    package = hint[1] if hint else (error.name or "langchain").split(".")[0].replace("_", "-")
    in_extra = not hint or package in ("langchain-openai", "langchain-ollama")
    install = "'echo-index[llm]'" if in_extra else package
    return MissingPackage(f"The option --llm needs the package {package}.", remedy=f"Install it: pip install {install}")


def _reason(error: BaseException) -> str:
    """Return the first line of an error and of its root cause: "Connection error." alone explains little."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [(redact(str(raised)).strip() or type(raised).__name__).splitlines()[0] for raised in (error, cause)]
    reason = " ".join(dict.fromkeys(lines))[:_MAX_REASON_CHARACTERS].rstrip(" .:")
    return f"{reason}."
