"""Limits the time of calls into a directory that may hang, such as one on a network mount.

A system call that waits for a dead file server cannot be interrupted; it can only be
abandoned, together with its thread. Each directory therefore has a small pool of threads for
such calls. When a call takes too long, a separate probe checks whether the directory answers
at all. Until the probe returns, all calls into the directory fail immediately.
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

# All times are in seconds.

#: timeout of a call if the operator has not set one
DEFAULT_TIMEOUT = 30
#: maximum number of concurrent calls into a local file system on the threads of their callers
MAX_INLINE_CALLS = 4
#: time without a finished call after which waiting calls start a probe
STALL_TIME = 2
#: interval at which a waiting caller checks the state of the directory
POLL_INTERVAL = 1
#: time after which an idle thread ends
IDLE_TIMEOUT = 60
#: intervals between two checks of the mount: while the directory answers, and while it hangs
MOUNT_CHECK_INTERVAL, REMOUNT_CHECK_INTERVAL = 60, 1
#: minimum time between two warnings of one kind
WARN_INTERVAL = 60


class DirectoryTimeout(OSError):
    """The directory does not answer.

    :ivar running: the call is still running and may complete later; then its
        ``on_late_result`` is called.
    """

    def __init__(self, path: str, running: bool = False):
        super().__init__(errno.ETIMEDOUT, 'the directory does not answer', path)
        self.running = running


class _Job:
    """A call and its outcome."""

    __slots__ = ('abandoned', 'arguments', 'detached', 'done', 'error', 'finished', 'function',
                 'on_late_result', 'result', 'running')

    def __init__(self, function: Callable, arguments: tuple, on_late_result: Callable | None):
        self.function, self.arguments = function, arguments
        self.on_late_result = on_late_result
        self.result: Any = None
        self.error: BaseException | None = None
        self.running = self.finished = False
        self.abandoned = False      # the caller has stopped waiting
        self.detached = False       # no caller has ever waited
        self.done = threading.Lock()
        self.done.acquire()


class _Probe:
    """A running check whether the directory answers."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.started = monotonic()


class Watchdog:
    """Makes calls into one directory, with a time limit.

    ``call``, ``transfer`` and ``call_with_timeout`` pass on the result or exception of the
    function. They raise ``DirectoryTimeout`` if the call was abandoned. ``on_late_result`` is
    called when an abandoned call returns after all: with its result, or None if it failed.

    :param timeout: seconds per call.  0: no limit, except for ``call_with_timeout``.  None: a
        default limit for file systems that are not local; on local ones only some calls are
        limited.
    :param threads: maximum number of concurrent calls, and so of hung threads.
    :param warn_percent: percentage of busy threads at which a warning is logged.
    :param on_recovery: called when the directory answers again.
    """

    def __init__(self, path: str, *, timeout: float | None = None, threads: int = 10,
                 warn_percent: int = 75, on_recovery: Callable[[], object] = lambda: None):
        self.path = path
        self.timeout = timeout or DEFAULT_TIMEOUT
        self._unlimited = timeout == 0
        self._always_limited = bool(timeout)
        self._on_recovery = on_recovery
        self._max_threads = threads
        self._warn_percent = warn_percent
        self._real_path: str | None = None
        self._strict = not self._unlimited
        self._next_mount_check = 0.0
        self._inline_calls: dict[int, float] = {}
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = self._pending = self._abandoned = 0
        self._last_progress = self._next_warning = self._next_remount_check = 0.0
        self._closed = False
        self._hung_since: float | None = None
        self._probe: _Probe | None = None
        self._mount = mounts.UNKNOWN
        self._deferred: list[Callable[[], object]] = []

    @property
    def strict(self) -> bool:
        """Whether all calls are limited."""
        return self._strict

    def set_real_path(self, path: str) -> None:
        """Report that the directory exists, and its path without symbolic links."""
        self._real_path = path
        self._check_mount()

    def call(self, function: Callable, *arguments: object,
             on_late_result: Callable | None = None) -> Any:
        """Make a short call, such as ``stat``."""
        if self._unlimited:
            return function(*arguments)
        now = monotonic()
        if now > self._next_mount_check:
            self._check_mount()
        if (self._strict or self._hung_since is not None
                or len(self._inline_calls) >= MAX_INLINE_CALLS):
            return self.call_with_timeout(function, *arguments, on_late_result=on_late_result)
        caller = threading.get_ident()
        self._inline_calls[caller] = now
        try:
            return function(*arguments)
        finally:
            self._inline_calls.pop(caller, None)

    def transfer(self, function: Callable, *arguments: object,
                 on_late_result: Callable | None = None, timeout_factor: int = 1) -> Any:
        """Make a call that reads or writes data; it is not limited on a local file system.

        :param timeout_factor: multiple of the timeout that the call may take while the
            directory answers.
        """
        if not self._strict:
            return function(*arguments)
        return self.call_with_timeout(function, *arguments, on_late_result=on_late_result,
                                      timeout_factor=timeout_factor)

    def call_with_timeout(self, function: Callable, *arguments: object,
                          on_late_result: Callable | None = None, timeout: float | None = None,
                          timeout_factor: int = 1) -> Any:
        """Make a call that is limited on every file system."""
        job = self._submit(_Job(function, arguments, on_late_result))
        half = (timeout or self.timeout) / 2
        started, halves, probe = monotonic(), 1, None
        while not job.done.acquire(timeout=max(0.0, min(POLL_INTERVAL, started + halves * half
                                                        - monotonic()))):
            if self._hung_since is not None or (not job.running and self._is_stalled()):
                return self._abandon(job)
            if monotonic() - started < halves * half:
                continue
            if probe is not None and self._mark_hung(probe):
                return self._abandon(job)
            if halves >= 2 * timeout_factor or (halves >= 2 and not job.running):
                return self._abandon(job)   # the call is slow, but the directory answers
            probe = self._start_probe()
            halves += 1
        return self._outcome(job)

    def call_in_background(self, function: Callable[[], object]) -> None:
        """Make a call without waiting for it; if the directory hangs, when it has recovered."""
        with self._lock:
            if self._hung_since is not None:
                self._deferred.append(function)
                return
            job = _Job(function, (), None)
            job.detached = True
            self._enqueue_locked(job)

    def ping(self, timeout: float) -> None:
        """Wait until the directory answers a probe.

        :raises DirectoryTimeout: it does not answer within ``timeout`` seconds.
        """
        self._check_remount()
        if self._hung_since is not None:
            timeout = min(timeout, POLL_INTERVAL)
        if not self._start_probe().answered.wait(timeout):
            raise DirectoryTimeout(self.path)

    def close(self) -> None:
        """End the threads; hung ones end with the process."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    # threads

    def _submit(self, job: _Job) -> _Job:
        if self._hung_since is not None:
            self._check_remount()
            raise DirectoryTimeout(self.path)
        if self._abandoned >= self._max_threads or self._is_stalled():
            self._warn()
            raise DirectoryTimeout(self.path)
        with self._lock:
            self._enqueue_locked(job)
        if 100 * self._pending >= self._warn_percent * self._max_threads:
            self._warn()
        return job

    def _enqueue_locked(self, job: _Job) -> None:
        self._pending += 1
        if self._pending == self._max_threads:
            self._last_progress = monotonic()
        self._jobs.put(job)
        if self._pending > self._threads and self._threads < self._max_threads:
            self._threads += 1
            threading.Thread(target=self._work, name='glancelite-file', daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_TIMEOUT)
            except queue.Empty:
                job = None
            if job is None:
                with self._lock:
                    if self._closed or self._jobs.empty():
                        self._threads -= 1
                        return
                continue
            with self._lock:
                if job.finished:    # abandoned before it started
                    continue
                job.running = True
            try:
                job.result = job.function(*job.arguments)
            except BaseException as error:  # raised on the thread of the caller
                job.error = error
            with self._lock:
                self._pending -= 1
                self._abandoned -= job.abandoned
                self._last_progress = monotonic()
                job.finished = True
            job.done.release()
            if job.abandoned or job.detached:
                self._report_late_result(job)

    def _report_late_result(self, job: _Job) -> None:
        try:
            if job.on_late_result is not None:
                job.on_late_result(job.result)
            elif job.error is not None:
                raise job.error
        except OSError as error:
            LOG.warning('%s: %s', self.path, error)
        except Exception:
            LOG.exception('%s', self.path)

    def _abandon(self, job: _Job) -> Any:
        """Raise ``DirectoryTimeout``, or return the result if the call has just finished."""
        with self._lock:
            if job.finished:
                pass
            elif job.running:
                job.abandoned = True
                self._abandoned += 1
            else:
                job.finished = True
                self._pending -= 1
                raise DirectoryTimeout(self.path)
        if job.abandoned:
            raise DirectoryTimeout(self.path, running=True)
        return self._outcome(job)

    @staticmethod
    def _outcome(job: _Job) -> Any:
        if job.error is not None:
            try:
                raise job.error
            finally:
                job.error = None    # breaks a reference cycle
        return job.result

    def _is_stalled(self) -> bool:
        """Return whether all threads are busy with a directory that does not answer."""
        if self._pending < self._max_threads or monotonic() - self._last_progress < STALL_TIME:
            return False
        probe = self._start_probe()
        return not probe.answered.is_set() and monotonic() - probe.started > POLL_INTERVAL

    def _warn(self) -> None:
        now = monotonic()
        with self._lock:
            if now < self._next_warning:
                return
            self._next_warning = now + WARN_INTERVAL
        LOG.warning('%s: %d calls are pending, of which %d were abandoned; the maximum is %d '
                    'threads', self.path, self._pending, self._abandoned, self._max_threads)

    # state of the directory

    def _check_mount(self) -> None:
        self._next_mount_check = monotonic() + MOUNT_CHECK_INTERVAL
        if not (self._unlimited or self._always_limited):
            self._strict = (self._real_path is None
                            or not mounts.find_mount(self._real_path).is_local)

    def _start_probe(self) -> _Probe:
        """Return the running probe, or start one."""
        with self._lock:
            if self._probe is None:
                self._start_probe_locked()
            assert self._probe is not None
            return self._probe

    def _start_probe_locked(self) -> None:
        self._probe = _Probe()
        self._mount = mounts.find_mount(self._real_path or self.path)
        threading.Thread(target=self._run_probe, args=(self._probe,), daemon=True,
                         name='glancelite-file-probe').start()

    def _run_probe(self, probe: _Probe) -> None:
        """Probe the directory until it answers fast enough for calls to succeed."""
        while True:
            started = monotonic()
            with contextlib.suppress(OSError):      # an error is an answer, too
                os.statvfs(self.path)   # never served from a cache, unlike stat
            with self._lock:
                if self._probe is not probe:
                    return      # the directory was mounted again and has a new probe
                if monotonic() - started < self.timeout / 2:
                    hung_since, self._hung_since = self._hung_since, None
                    deferred, self._deferred = self._deferred, []
                    self._probe = None
                    break
        probe.answered.set()
        if hung_since is not None:
            LOG.warning('%s answers again, after %d s', self.path, monotonic() - hung_since)
            self._check_mount()
            for function in (*deferred, self._on_recovery):
                self.call_in_background(function)

    def _mark_hung(self, probe: _Probe) -> bool:
        """Mark the directory as hung if ``probe`` is unanswered; return whether it hangs."""
        with self._lock:
            if self._probe is not probe:
                return self._hung_since is not None
            if self._hung_since is None:
                self._hung_since = probe.started
                self._next_remount_check = monotonic()
                LOG.error('%s does not answer; calls into it fail until it does', self.path)
            return True

    def _check_remount(self) -> None:
        """Start a new probe if the directory was mounted again: the old one may never end."""
        with self._lock:
            if self._hung_since is None or monotonic() < self._next_remount_check:
                return
            self._next_remount_check = monotonic() + REMOUNT_CHECK_INTERVAL
            if mounts.find_mount(self._real_path or self.path) != self._mount:
                self._start_probe_locked()
