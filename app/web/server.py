"""Serve the web page and the routes for programs over HTTP, with readiness check, login, upload limits and MCP."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from echo_index.app.defaults import DEFAULTS
from echo_index.app.services.background_watch import background_watch
from echo_index.app.services.build_job import BuildJob
from echo_index.app.services.credentials import Authenticator
from echo_index.app.services.encoder_factory import EncoderOptions
from echo_index.app.services.index_service import IndexService, ServiceOptions
from echo_index.app.services.mcp_package import require_mcp
from echo_index.app.services.uploads import uploads_folder
from echo_index.errors import EchoIndexError

if TYPE_CHECKING:
    from fastapi import FastAPI


@dataclass(frozen=True)
class ServerOptions:
    """Where to listen and what to allow; `authenticator` is None if no login is required.

    `api` adds the routes for programs; without `page` there are only these, and Gradio is not loaded. With `watch`,
    indexes are built in the background whenever their files change.
    """

    host: str = DEFAULTS.host
    port: int = DEFAULTS.port
    authenticator: Authenticator | None = None
    mcp: bool = False
    api: bool = False
    page: bool = True
    read_only: bool = False
    upload_megabytes: int = DEFAULTS.upload_megabytes
    watch: bool = False
    watch_polling: bool = False

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    @property
    def may_change(self) -> bool:
        """Whether visitors may add and remove documents: from other machines only after a login."""
        return not self.read_only and (self.is_local or self.authenticator is not None)


def make_app(
    service: IndexService,
    options: ServerOptions,
    build_jobs: Mapping[str, BuildJob] | None = None,
    *,
    report: Callable[[str], None] = lambda line: None,
) -> FastAPI:
    """Return the application: the page at /, its endpoints below /gradio_api, readiness at /healthz; or the API.

    The page starts and shows the builds of `build_jobs`, new ones unless they are given. `report` is told what fails
    in the routes for programs.

    Raises:
        MissingPackage: `mcp` is set and the package mcp is not installed.
    """
    from echo_index.app.services.request_guard import LOOPBACK_NAMES, Guard

    hosts = LOOPBACK_NAMES if options.is_local else None
    if options.page:
        app = _page_app(service, options, build_jobs or new_build_jobs(service))
        app.add_middleware(Guard, hosts=hosts, may_upload=options.may_change)
        if not options.api:
            return app
    from echo_index.app.api.application import ApiBeforePage, make_api

    api = make_api(service, hosts=hosts, authenticator=options.authenticator, report=report)
    if not options.page:
        return api
    app.add_middleware(ApiBeforePage, api=api)
    return app


def _page_app(service: IndexService, options: ServerOptions, build_jobs: Mapping[str, BuildJob]) -> FastAPI:
    # Set before Gradio is imported, which otherwise calls home.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr
    from fastapi import FastAPI

    from echo_index.app.api.health import add_health
    from echo_index.app.web.page import PageOptions, make_page
    from echo_index.app.web.theme import asset, theme

    if options.mcp:
        require_mcp()
    max_bytes = options.upload_megabytes * 10**6
    indexes = [collection.index for collection in service.collections]
    page = make_page(
        service,
        build_jobs,
        PageOptions(
            uploads={each.name: uploads_folder(each.index, indexes) for each in service.collections},
            max_upload_bytes=max_bytes,
            may_change=options.may_change,
            is_watched=options.watch,
        ),
    )
    app = FastAPI(title="echo-index", docs_url=None, redoc_url=None, openapi_url=None)
    add_health(app, service)
    gr.mount_gradio_app(
        app,
        page,
        path="",
        auth=options.authenticator,
        footer_links=["api", "settings"],
        max_file_size=max_bytes,
        mcp_server=options.mcp,
        show_error=True,
        ssr_mode=False,
        theme=theme(),
        head=f"<style>{asset('page.css')}</style>",  # Gradio rewrites the selectors of its `css` option
    )
    return app


def run_server(service_options: ServiceOptions, options: ServerOptions, *, notice: Callable[[str], None]) -> None:
    """Serve until Ctrl-C. The page is available while the model is still loading.

    Raises:
        EchoIndexError: the address or port is not available, or several indexes cannot be searched together.
    """
    listener = _listen(options)
    temporary = tempfile.mkdtemp(prefix="echo-index-")
    os.environ["GRADIO_TEMP_DIR"] = temporary  # Gradio stores uploads there first
    try:
        import uvicorn

        from echo_index.app.api.limits import MAX_ADDRESS_BYTES
        from echo_index.app.services.external_llm import untraced

        with untraced(), ExitStack() as watching:
            service = IndexService(service_options, notice=notice)
            if service.has_several:  # that do not go together; a single one may not exist yet
                service.with_searcher(lambda searcher: None)
            build_jobs = new_build_jobs(service)
            app = make_app(service, options, build_jobs, report=notice)
            Thread(target=service.warm, name="warm", daemon=True).start()
            if options.watch:
                watching.enter_context(background_watch(build_jobs, polling=options.watch_polling, notice=notice))
            host, port = listener.getsockname()[:2]
            for line in _addresses(options, f"http://{host}:{port}"):
                notice(line)
            if not options.is_local and options.authenticator is None:
                library = ", so the library is read-only" if options.page and not options.read_only else ""
                notice(f"Other machines can connect without a password{library}. See --auth.")
            config = uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=3,
                h11_max_incomplete_event_size=MAX_ADDRESS_BYTES,
            )
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        listener.close()
        shutil.rmtree(temporary, ignore_errors=True)


def _addresses(options: ServerOptions, address: str) -> Iterator[str]:
    """Yield a line for each thing that is served."""
    stop = " - press Ctrl-C to stop."
    if options.page:
        yield f"The page is at {address}{stop}"
    if options.api or not options.page:
        routes = "/v1, /search and /documents; all routes: /openapi.json"
        yield f"Programs use {address} ({routes}){'' if options.page else stop}"


def new_build_jobs(service: IndexService) -> dict[str, BuildJob]:
    """Return a job for the builds of each index, by its name, with the models of the service."""
    options = EncoderOptions(model=service.options.model, device=service.options.device)
    return {collection.name: BuildJob(collection.index, options) for collection in service.collections}


def _listen(options: ServerOptions) -> socket.socket:
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise EchoIndexError(
            f"Port {options.port} of {options.host} is not available: {(error.strerror or str(error)).lower()}.",
            remedy=f"Choose another port: --port {options.port + 1 if options.port < 65535 else DEFAULTS.port}",
        ) from None
    return listener
