"""Calls into a directory that may stop answering, as one does whose file server is gone.

A call that waits for a dead file server cannot be ended, only left alone, and
it takes its thread along. So such calls are made in threads of their own, of
which each directory has a few; and when one has waited too long, the directory
itself is asked a question. While that is not answered nobody else has to wait.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import queue
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from glancelite.plugins.store.file import mounts

LOG = logging.getLogger(__name__)

#: seconds that a call may take where the operator has not said
DEADLINE = 30
#: calls into a local file system that may be under way in their callers' own threads
INLINE = 4
#: seconds without progress after which those who queue for a thread ask why
STALLED = 2
#: seconds between two looks at what has become of a call, and of the directory
STEP = 1
#: seconds after which a thread without work ends
IDLE = 60
#: seconds between two looks at what is mounted, and while it does not answer
LOOK_EVERY, LOOK_AGAIN = 60, 1
#: seconds between two warnings of one kind
WARN_EVERY = 60


class NoAnswer(OSError):
    """The directory does not answer.

    :ivar running: the call may still be carried out some day; its ``late`` will know.
    """

    def __init__(self, path: str, running: bool = False):
        super().__init__(errno.ETIMEDOUT, 'the directory does not answer', path)
        self.running = running


class _Job:
    """A call, and what became of it."""

    __slots__ = ('abandoned', 'alone', 'arguments', 'done', 'error', 'finished', 'function',
                 'late', 'result', 'running')

    def __init__(self, function: Callable, arguments: tuple, late: Callable | None):
        self.function, self.arguments, self.late = function, arguments, late
        self.result: Any = None
        self.error: BaseException | None = None
        self.running = self.finished = False
        self.abandoned = self.alone = False     # by the one who waited; from the beginning
        self.done = threading.Lock()
        self.done.acquire()


class _Question:
    """Whether the directory answers."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.begun = monotonic()


class Guard:
    """
    :param timeout: seconds for each call; 0 to wait without a limit, except where ``ask`` is
        used; None for what suits the file system: calls into one that is not local are
        limited, and of those into a local one only some.
    :param threads: calls that may be under way at once, and so those that may be stuck.
    :param busy: percentage of them that is worth a warning.
    :param returned: called when the directory answers again.
    """

    def __init__(self, path: str, *, timeout: float | None = None, threads: int = 10,
                 busy: int = 75, returned: Callable[[], object] = lambda: None):
        self.path = path
        self.deadline = timeout or DEADLINE
        self._plain = timeout == 0
        self._always = bool(timeout)
        self._returned = returned
        self._size = threads
        self._busy = busy
        self._real: str | None = None
        self._strict = not self._plain
        self._look_at = 0.0
        self._under_way: dict[int, float] = {}
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = self._load = self._stuck = 0
        self._progress = self._warned = self._another_at = 0.0
        self._closed = False
        self._hung: float | None = None
        self._question: _Question | None = None
        self._mount = mounts.UNKNOWN
        self._later: list[Callable[[], object]] = []

    # what callers use

    @property
    def strict(self) -> bool:
        """Whether no call at all is made in its caller's thread."""
        return self._strict

    def found(self, real: str) -> None:
        """The directory is there, and this is its path without symbolic links."""
        self._real = real
        self._look()

    def call(self, function: Callable, *arguments: object, late: Callable | None = None) -> Any:
        """Call something quick.

        :param late: gets the result, None if there was none, of a call that was abandoned.
        :raises NoAnswer: in time, if the directory does not answer.
        """
        if self._plain:
            return function(*arguments)
        now = monotonic()
        if now > self._look_at:
            self._look()
        if self._strict or self._hung is not None or len(self._under_way) >= INLINE:
            return self.ask(function, *arguments, late=late)
        caller = threading.get_ident()
        self._under_way[caller] = now
        try:
            return function(*arguments)
        finally:
            self._under_way.pop(caller, None)

    def move(self, function: Callable, *arguments: object, late: Callable | None = None,
             patience: int = 1) -> Any:
        """Call what moves bytes, which the threads of a local file system wait for.

        :param patience: times the deadline that it may take while the directory answers.
        """
        if not self._strict:
            return function(*arguments)
        return self.ask(function, *arguments, late=late, patience=patience)

    def ask(self, function: Callable, *arguments: object, late: Callable | None = None,
            deadline: float | None = None, patience: int = 1) -> Any:
        """As ``call`` or ``move``, but with a limit on every file system."""
        job = self._submit(_Job(function, arguments, late))
        half = (deadline or self.deadline) / 2
        begun, halves, question = monotonic(), 1, None
        while not job.done.acquire(timeout=max(0.0, min(STEP, begun + halves * half
                                                        - monotonic()))):
            if self._hung is not None or (not job.running and self._stalled()):
                return self._abandon(job)
            if monotonic() - begun < halves * half:
                continue
            if question is not None and self._declare(question):
                return self._abandon(job)
            if halves >= 2 * patience or (halves >= 2 and not job.running):
                return self._abandon(job)   # this call is slow, the directory is not
            question = self._inquire()
            halves += 1
        return self._outcome(job)

    def background(self, function: Callable[[], object]) -> None:
        """Call something as soon as the directory can be expected to answer."""
        with self._lock:
            if self._hung is not None:
                self._later.append(function)
                return
            job = _Job(function, (), None)
            job.alone = True
            self._enqueue(job)

    def ping(self, seconds: float) -> None:
        """Wait until the directory answers a question.

        :raises NoAnswer: it did not.
        """
        self._look_for_another()
        if self._hung is not None:
            seconds = min(seconds, STEP)
        if not self._inquire().answered.wait(seconds):
            raise NoAnswer(self.path)

    def close(self) -> None:
        """Let the threads go; those that are stuck end with the process."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    # the threads

    def _submit(self, job: _Job) -> _Job:
        if self._hung is not None:
            self._look_for_another()
            raise NoAnswer(self.path)
        if self._stuck >= self._size or self._stalled():
            self._warn()
            raise NoAnswer(self.path)
        with self._lock:
            self._enqueue(job)
        if 100 * self._load >= self._busy * self._size:
            self._warn()
        return job

    def _enqueue(self, job: _Job) -> None:
        self._load += 1
        if self._load == self._size:
            self._progress = monotonic()
        self._jobs.put(job)
        if self._load > self._threads and self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._work, name='glancelite-file', daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE)
            except queue.Empty:
                job = None
            if job is None:
                with self._lock:
                    if self._closed or self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            with self._lock:
                if job.finished:    # nobody waits for it
                    continue
                job.running = True
            try:
                job.result = job.function(*job.arguments)
            except BaseException as error:  # it belongs to the caller
                job.error = error
            with self._lock:
                self._load -= 1
                self._stuck -= job.abandoned
                self._progress = monotonic()
                job.finished = True
            job.done.release()
            if job.abandoned or job.alone:
                self._came_late(job)

    def _came_late(self, job: _Job) -> None:
        try:
            if job.late is not None:
                job.late(job.result)
            elif job.error is not None:
                raise job.error
        except OSError as error:
            LOG.warning('%s: %s', self.path, error)
        except Exception:
            LOG.exception('%s', self.path)

    def _abandon(self, job: _Job) -> Any:
        with self._lock:
            if job.finished:
                pass
            elif job.running:
                job.abandoned = True
                self._stuck += 1
            else:
                job.finished = True
                self._load -= 1
                raise NoAnswer(self.path)
        if job.abandoned:
            raise NoAnswer(self.path, running=True)
        return self._outcome(job)

    @staticmethod
    def _outcome(job: _Job) -> Any:
        if job.error is not None:
            try:
                raise job.error
            finally:
                job.error = None    # or it would hold on to itself
        return job.result

    def _stalled(self) -> bool:
        """Do all threads wait for a directory that does not answer?"""
        if self._load < self._size or monotonic() - self._progress < STALLED:
            return False
        question = self._inquire()
        return not question.answered.is_set() and monotonic() - question.begun > STEP

    def _warn(self) -> None:
        now = monotonic()
        with self._lock:
            if now < self._warned:
                return
            self._warned = now + WARN_EVERY
        LOG.warning('%s: %d calls are under way, of which %d were given up; %d threads may serve '
                    'them', self.path, self._load, self._stuck, self._size)

    # does it answer?

    def _look(self) -> None:
        self._look_at = monotonic() + LOOK_EVERY
        if not (self._plain or self._always):
            self._strict = self._real is None or not mounts.of(self._real).local

    def _inquire(self) -> _Question:
        """The question that is not answered yet, or a new one."""
        with self._lock:
            if self._question is None:
                self._put_question()
            assert self._question is not None
            return self._question

    def _put_question(self) -> None:
        self._question = _Question()
        self._mount = mounts.of(self._real or self.path)
        threading.Thread(target=self._wait, args=(self._question,), daemon=True,
                         name='glancelite-file-question').start()

    def _wait(self, question: _Question) -> None:
        """Put the question until the answer comes as quickly as calls need it."""
        while True:
            begun = monotonic()
            with contextlib.suppress(OSError):      # that is an answer, too
                os.statvfs(self.path)   # no cache has it, unlike what ``stat`` tells
            with self._lock:
                if self._question is not question:
                    return      # somebody has put another one, to another mount
                if monotonic() - begun < self.deadline / 2:
                    hung, self._hung = self._hung, None
                    later, self._later = self._later, []
                    self._question = None
                    break
        question.answered.set()
        if hung is not None:
            LOG.warning('%s answers again, after %d s', self.path, monotonic() - hung)
            self._look()
            for function in (*later, self._returned):
                self.background(function)

    def _declare(self, question: _Question) -> bool:
        """The directory is hung, if the question has no answer."""
        with self._lock:
            if self._question is not question:
                return self._hung is not None
            if self._hung is None:
                self._hung = question.begun
                self._another_at = monotonic()
                LOG.error('%s does not answer; until it does, nobody waits for it', self.path)
            return True

    def _look_for_another(self) -> None:
        """Whoever waits for an old mount may wait for ever: ask the new one."""
        with self._lock:
            if self._hung is None or monotonic() < self._another_at:
                return
            self._another_at = monotonic() + LOOK_AGAIN
            if mounts.of(self._real or self.path) != self._mount:
                self._put_question()
