"""Writes one stream of data into several stores at once.

The data is read once.  Each store has a thread that pulls chunks from a short queue, so the
slowest store sets the pace, and memory is bounded.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterator, Mapping

from glancelite.services import border
from glancelite.support import log_context

#: chunks that wait for one store
DEPTH = 4


class Stopped(Exception):
    """The data is not wanted in this store any more."""


class _Branch(Iterator[bytes]):
    """The chunks for one store."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._chunks: collections.deque[bytes] = collections.deque()
        self._failure: BaseException | None = None
        self._ended = False
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, chunk: bytes) -> None:
        """Add a chunk, when there is room; nothing if the branch was closed."""
        with self._changed:
            while len(self._chunks) >= DEPTH and not self._closed:
                self._changed.wait()
            self._chunks.append(chunk)
            self._changed.notify_all()

    def end(self, failure: BaseException | None = None) -> None:
        """End the data, after the chunks that wait; with an error at once."""
        with self._changed:
            self._ended = True
            self._failure = failure
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more chunks."""
        with self._changed:
            self._closed = True
            self._chunks.clear()
            self._changed.notify_all()

    def __next__(self) -> bytes:
        with self._changed:
            while not (self._chunks or self._ended):
                self._changed.wait()
            if self._failure is not None:
                raise self._failure
            if not self._chunks:
                raise StopIteration
            chunk = self._chunks.popleft()
            self._changed.notify_all()
            return chunk


def write(source: Iterator[bytes], writers: Mapping[str, Callable[[Iterator[bytes]], None]], *,
          stop_at_failure: bool) -> Mapping[str, BaseException]:
    """Pass the chunks of ``source`` to every writer.

    :param source: its error is raised in every writer, and then by this function.
    :param writers: name -> function that reads its iterator to the end; runs in a thread of
        its own if there are several.
    :param stop_at_failure: after the first error of a writer, end the others with ``Stopped``.
    :returns: name -> error, of the writers that failed.
    """
    if len(writers) == 1:
        (name, writer), = writers.items()
        guarded = border.Source(source)
        try:
            writer(guarded)
        except BaseException as error:
            if guarded.failure is not None:
                raise guarded.failure from None
            return {name: error}
        return {}
    return _Writers(source, writers, stop_at_failure).run()


class _Writers:

    def __init__(self, source: Iterator[bytes],
                 writers: Mapping[str, Callable[[Iterator[bytes]], None]],
                 stop_at_failure: bool):
        self._source = source
        self._stop_at_failure = stop_at_failure
        self._branches = {name: _Branch() for name in writers}
        self._failures: dict[str, BaseException] = {}
        self._threads = [
            threading.Thread(target=log_context.carried(self._run_writer), daemon=True,
                             args=(name, writer), name=f'store-{name}')
            for name, writer in writers.items()]

    def run(self) -> Mapping[str, BaseException]:
        for thread in self._threads:
            thread.start()
        failure: BaseException | None = None
        try:
            self._pump()
        except BaseException as error:
            failure = error
        for branch in self._branches.values():
            branch.end(failure or (Stopped() if self._must_stop else None))
        for thread in self._threads:
            thread.join()
        if failure is not None:
            raise failure
        return self._failures

    @property
    def _must_stop(self) -> bool:
        return self._stop_at_failure and bool(self._failures)

    def _pump(self) -> None:
        branches = list(self._branches.values())
        for chunk in self._source:
            for branch in branches:
                branch.put(chunk)
            if self._must_stop or all(branch.closed for branch in branches):
                return

    def _run_writer(self, name: str, writer: Callable[[Iterator[bytes]], None]) -> None:
        branch = self._branches[name]
        try:
            writer(branch)
        except BaseException as error:
            self._failures[name] = error
        finally:
            branch.close()
