"""gunicorn's master process, with reloads that interrupt no request."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from gunicorn import arbiter
from gunicorn.errors import HaltServer

from glancelite.server.systemd import ServiceManager

if TYPE_CHECKING:
    from glancelite.server.application import Application

RESPAWN_DELAY = 5.0     # seconds after a replacement worker failed to start


class Master(arbiter.Arbiter):
    """On a reload, the old workers serve until the new ones are ready.

    Then they finish their running requests, without a time limit.  A
    configuration that does not work changes nothing.
    """

    def __init__(self, app: Application):
        # Worker objects of former configurations, by process ID, as in WORKERS:
        self._old: dict[int, Any] = {}          # they still accept connections
        self._finishing: dict[int, Any] = {}    # they only finish running requests
        self._stop_requested = False
        self._reload_requested = False
        app.is_stopping = lambda: self._stop_requested
        self._started = False
        self._respawn_at = 0.0
        self._service_manager = ServiceManager()
        super().__init__(app)

    def signal(self, sig: int, frame: Any) -> None:
        if sig in (signal.SIGTERM, signal.SIGINT):
            sig = signal.SIGQUIT if self._stop_requested else signal.SIGTERM
            self._stop_requested = True
        elif sig == signal.SIGHUP:
            if self._reload_requested:
                return      # one reload is enough for signals that arrive before it begins
            self._reload_requested = True
        super().signal(sig, frame)

    def handle_usr2(self) -> None:
        """Let the workers write their Guru Meditation Reports."""
        self.kill_workers(signal.SIGUSR2)

    def reload(self) -> None:
        self._reload_requested = False
        if self._stop_requested:
            return
        self._service_manager.reloading()
        if self.app.read_configuration():
            super().reload()
        else:
            self._service_manager.ready()

    def spawn_worker(self) -> Any:
        """Keep signals from the new process until it handles them; it would lose them.

        `Worker.init_signals` lets them through.
        """
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, self.SIGNALS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def retire_workers(self) -> None:
        """Called by gunicorn after the new configuration is loaded, before it starts workers."""
        for worker in self.WORKERS.values():
            worker.tmp.close()
        self._old.update(self.WORKERS)
        self.WORKERS.clear()

    def manage_workers(self) -> None:
        if time.monotonic() >= self._respawn_at:
            super().manage_workers()
        if len(self.WORKERS) < self.num_workers or not all(map(_is_ready, self.WORKERS.values())):
            return
        if not self._started:
            url = str(self.LISTENERS[0])
            self.log.info('ready at %s; to try it: curl %s/versions', url, url)
        self._started = True
        self._service_manager.ready()
        if self._old:
            self.log.info('reloaded; the old workers finish their running requests')
            for pid in self._old:
                self.kill_worker(pid, signal.SIGHUP)
            self._finishing.update(self._old)
            self._old.clear()

    def reap_workers(self) -> None:
        for workers in (self._old, self._finishing):
            for pid in [pid for pid in workers if _has_ended(pid)]:
                del workers[pid]
                self.log.info('worker %d has finished', pid)
        try:
            super().reap_workers()
        except HaltServer as exc:
            if not self._started:
                raise
            self.log.error('a new worker could not start: %s', exc.reason)
            self._respawn_at = time.monotonic() + RESPAWN_DELAY

    def stop(self, graceful: bool = True) -> None:
        self._service_manager.stopping()
        self.WORKERS.update(self._old | self._finishing)
        self._old, self._finishing = {}, {}
        super().stop(graceful)


def _is_ready(worker: Any) -> bool:
    """A worker reports that it is alive by the time of a file; at first that is the boot time."""
    return bool(worker.tmp.last_update() <= time.monotonic())


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True
