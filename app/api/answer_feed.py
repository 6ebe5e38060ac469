"""Read an answer while it is written, at the speed of the client, and free the model as soon as it has written it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, closing

from starlette.requests import Request

from echo_index.app.api.errors import ApiError, Report, api_error
from echo_index.app.api.limits import WorkQueue
from echo_index.app.services import answer_job
from echo_index.app.services.answer_job import Turn, stream_turn
from echo_index.app.services.index_service import IndexService
from echo_index.errors import EchoIndexError

_WATCH_SECONDS = 1.0


class AnswerFeed:
    """The turns of one answer. The place in the queue is held until the answer is written or nobody reads it."""

    def __init__(
        self, service: IndexService, question: answer_job.Request, queue: WorkQueue, *, report: Report
    ) -> None:
        self._service = service
        self._question = question
        self._queue = queue
        self._report = report
        self._turns: asyncio.Queue[Turn | ApiError | None] = asyncio.Queue()
        self._stopped = False
        self._first: Turn | None = None
        self._writing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Wait until the passages are found, so that what fails before the first word has a status of its own.

        Raises:
            ApiError: the queue is full, or the question cannot be answered.
        """
        with ExitStack() as place:
            place.enter_context(self._queue.place())
            self._writing = asyncio.create_task(self._write(place.pop_all()))
        self._first = await self._next()

    async def turns(self) -> AsyncIterator[Turn]:
        """Yield the turns; closing the iterator stops the model.

        Raises:
            ApiError: the model failed.
        """
        try:
            turn = self._first
            while turn is not None:
                yield turn
                turn = await self._next()
        finally:
            self._stopped = True

    async def last_turn(self, connection: Request) -> Turn:
        """Return the turn with the complete answer; the model stops if the client goes.

        Raises:
            ApiError: the model failed, or the client has gone.
        """
        watching = asyncio.create_task(self._stop_if_gone(connection))
        try:
            async for turn in self.turns():
                if turn.answer is not None:
                    return turn
        finally:
            watching.cancel()
        raise ApiError(499, "The client has gone.")

    async def _stop_if_gone(self, connection: Request) -> None:
        while not await connection.is_disconnected():
            await asyncio.sleep(_WATCH_SECONDS)
        self._stopped = True

    async def _next(self) -> Turn | None:
        turn = await self._turns.get()
        if isinstance(turn, ApiError):
            raise turn
        return turn

    async def _write(self, place: ExitStack) -> None:
        """Let the model write in a thread, with a place in the queue."""
        loop = asyncio.get_running_loop()

        def put(turn: Turn | ApiError | None) -> None:
            loop.call_soon_threadsafe(self._turns.put_nowait, turn)

        def write() -> None:
            with closing(self._written()) as turns:
                for turn in turns:
                    put(turn)

        with place:
            try:
                await self._queue.run_admitted(write)
            except EchoIndexError as error:
                self._turns.put_nowait(api_error(error, report=self._report))
            except Exception as error:  # noqa: BLE001 - of a defect, or of a provider of models
                self._report(f"An answer failed: {type(error).__name__}.")
                self._turns.put_nowait(ApiError(500, "The answer failed."))
            else:
                self._turns.put_nowait(None)

    def _written(self) -> Generator[Turn, None, None]:
        if self._stopped:
            return
        turns = stream_turn(self._service, self._question)
        try:
            for turn in turns:
                yield turn
                if self._stopped:
                    return
        finally:
            turns.close()
