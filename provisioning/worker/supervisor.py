"""Runs procrastinate's worker through restarts and failovers of PostgreSQL, until the process is asked to end.

A worker ends when it loses the database. The supervisor waits until the database takes writes again, gives the jobs
of the lost worker back to the queue and starts another worker in the same process. It never waits for a job that
hangs: such a job goes on in its thread beside the new worker, and all jobs are safe to repeat.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Coroutine, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import psycopg
from procrastinate import App, RetryDecision
from procrastinate.connector import Notify
from procrastinate.contrib.django.utils import connector_params
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy
from procrastinate.worker import Worker

from provisioning.database.errors import connection_is_refused, database_is_away
from provisioning.database.transaction_pooler import WORKER_POOL, WorkerConnector
from provisioning.worker.tasks import retry_stalled

log = logging.getLogger(__name__)

PAUSES: Final = (0.1, 0.2, 0.5, 1.0)  # seconds between looking for the database; the last one again and again
LOOK: Final = 4.0  # seconds that one look, or the start of the pool, may take
GRACE: Final = 1.0  # seconds in which the jobs of a lost worker may end before the next worker starts
PATIENCE: Final = 10.0  # seconds in which jobs may end when the process is asked to end
MOST_TRIES: Final = 20  # of a job whose database goes away again and again; later the sweeps find its rows


class WorkerFailed(Exception):
    """The worker can't go on, and waiting doesn't help; the message says why."""


class RetryAfterOutage(BaseRetryStrategy):
    """Tries a job again that failed because the database went away."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Return when to try again; None for every other failure."""
        if database_is_away(exception) and job.attempts < MOST_TRIES:
            return RetryDecision(retry_in={"seconds": 1})
        return None


class WatchedConnector(WorkerConnector):
    """A connector that says when a statement failed because the database is away, and that can be opened again."""

    def __init__(self) -> None:
        super().__init__(kwargs=connector_params(), min_size=1, max_size=WORKER_POOL, timeout=2, reconnect_timeout=1)
        self.lost = asyncio.Event()

    @contextlib.contextmanager
    def _watch(self) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, ConnectorException) as problem:
            if database_is_away(problem):
                self.lost.set()
            raise

    async def open_again(self) -> None:
        """Open the pool; forget that the database was lost."""
        pool, self._async_pool = self._async_pool, None
        if pool:
            with contextlib.suppress(psycopg.Error, TimeoutError):
                await asyncio.wait_for(pool.close(timeout=1), LOOK)
        self.lost.clear()
        await asyncio.wait_for(self.open_async(), LOOK)

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        """Run a statement."""
        with self._watch():
            await super().execute_query_async(query, **arguments)

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        """Run a statement that returns a row."""
        with self._watch():
            row: dict[str, Any] = await super().execute_query_one_async(query, **arguments)
            return row

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        """Run a statement that returns rows."""
        with self._watch():
            rows: list[dict[str, Any]] = await super().execute_query_all_async(query, **arguments)
            return rows

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Listen for new jobs."""
        with self._watch():
            await super().listen_notify(on_notification, channels)


async def _give_emails_back(connector: WatchedConnector) -> None:
    """End the leases of emails and sign-in codes: a sender that lost the database can't note what it sent.

    An email may go out twice then, with the same Message-ID.
    """
    for table in ("provisioning_mail", "provisioning_signincode"):
        await connector.execute_query_async(
            f"UPDATE {table} SET lease_until = NULL WHERE sent_at IS NULL AND lease_until > now()"  # noqa: S608
        )


class Supervisor:
    """One process's workers, one after the other."""

    def __init__(self, app: App, options: dict[str, Any]) -> None:
        self.app = app
        self.options = {**app.worker_defaults, **options, "install_signal_handlers": False}
        self.stop = asyncio.Event()
        self.lost_workers: dict[int | None, asyncio.Task[None]] = {}
        self._away_since = 0.0
        self._known = False

    def has_hanging_jobs(self) -> bool:
        """Say whether jobs are left whose end nobody waited for."""
        return any(not task.done() for task in self.lost_workers.values())

    async def run(self) -> None:
        """Run workers until the process is asked to end, or the one worker that shouldn't wait has no job left."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.stop.set)
        self.app.perform_import_paths()  # type: ignore[no-untyped-call]
        for task in self.app.tasks.values():
            if task.retry_strategy is None:
                task.retry_strategy = RetryAfterOutage()
        connector, lost = WatchedConnector(), False
        with self.app.replace_connector(connector):
            while await self._database_answers():
                try:
                    await connector.open_again()
                    if lost:
                        await _give_emails_back(connector)
                    await self._give_jobs_back()
                    if await self._work(connector):
                        return
                    lost = True
                except TimeoutError:
                    pass
                except (psycopg.Error, ConnectorException) as problem:
                    if not database_is_away(problem):
                        raise WorkerFailed(_reason(problem)) from problem

    async def _database_answers(self) -> bool:
        """Wait until the database takes writes; False when the process is asked to end."""
        pauses = iter(PAUSES)
        pause = PAUSES[-1]
        while not self.stop.is_set():
            try:
                async with asyncio.timeout(LOOK):
                    reason = await self._look()
            except TimeoutError:
                reason = "no answer"
            if not reason:
                if self._away_since:
                    took = time.monotonic() - self._away_since
                    log.warning("The database answers again after %.0f s; the worker goes on.", took)
                self._known, self._away_since = True, 0.0
                return True
            if not self._away_since:
                self._away_since = time.monotonic()
                log.error("The database is away, the worker waits for it: %s", reason)
            pause = next(pauses, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause)
        return False

    async def _look(self) -> str:
        """Return why the database can't be used now; "" where it can. Raises WorkerFailed where waiting is no use."""
        try:
            async with await psycopg.AsyncConnection.connect(**connector_params(), autocommit=True) as connection:
                row = await (await connection.execute("SHOW transaction_read_only")).fetchone()
        except psycopg.Error as problem:
            if not database_is_away(problem) or (connection_is_refused(problem) and not self._known):
                raise WorkerFailed(_reason(problem)) from problem
            return _reason(problem)
        return "it takes no writes" if row == ("on",) else ""

    async def _give_jobs_back(self) -> None:
        """Let the jobs that lost workers left unfinished be taken again."""
        manager = self.app.job_manager
        for number, task in list(self.lost_workers.items()):
            if task.done():
                if number is not None:
                    await manager.unregister_worker(number)
                del self.lost_workers[number]
        await retry_stalled(manager)

    async def _work(self, connector: WatchedConnector) -> bool:
        """Run one worker. Returns True when it ended as it was asked to, False when the database was lost."""
        worker = Worker(app=self.app, **self.options)
        task = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
        await _first(task, connector.lost.wait(), self.stop.wait())
        number = worker.worker_id
        lost = connector.lost.is_set()
        if task.done() and not lost:
            if (problem := task.exception()) is not None:
                raise problem
            if worker.wait and not self.stop.is_set():
                raise WorkerFailed("The worker ended although nobody asked it to; the lines above say why.")
            return True
        worker.stop()  # type: ignore[no-untyped-call]
        if not lost:
            patience = self.options.get("shutdown_graceful_timeout")
            patience = PATIENCE if patience is None else patience + GRACE
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(_first(task, connector.lost.wait()), patience)
        if not task.done() and connector.lost.is_set():
            await asyncio.wait([task], timeout=GRACE)
        self.lost_workers[number] = task
        if not task.done():
            # The threads of its jobs may never end: the next worker gets new threads.
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
        task.add_done_callback(_end_of_lost_worker)
        return self.stop.is_set()


def run(app: App, **options: Any) -> int:
    """Run the worker with procrastinate's options until SIGTERM or SIGINT; returns the exit status.

    Where a job hangs the process ends here without it: the end of Python would wait for its thread.
    """
    supervisor = Supervisor(app, options)
    runner = asyncio.Runner()
    status = 1
    try:
        runner.run(supervisor.run())
        status = 0
    except WorkerFailed as problem:
        log.error("The worker can't go on: %s", problem)
    except Exception:
        log.exception("The worker can't go on.")
    if supervisor.has_hanging_jobs():
        logging.shutdown()
        os._exit(status)
    runner.close()
    return status


async def _first(*waits: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Return when the first of these is done; tasks go on, everything else is ended."""
    tasks = [wait if isinstance(wait, asyncio.Task) else asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait, task in zip(waits, tasks, strict=True):
            if wait is not task:
                task.cancel()


def _end_of_lost_worker(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()):
        log.debug("A lost worker ended: %s", problem)


def _reason(problem: BaseException) -> str:
    """Return an error's first line, or that of what it came from where that says more (ConnectorException)."""
    cause = problem.__cause__ if isinstance(problem, ConnectorException) and problem.__cause__ else problem
    return str(cause).strip().partition("\n")[0] or type(cause).__name__
