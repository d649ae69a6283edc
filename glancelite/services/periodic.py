"""Work that is repeated in a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from glancelite.support import log_context

LOG = logging.getLogger(__name__)

#: seconds that the end of the service waits for a call under way
CLOSE_TIME = 10.0


class Periodic:
    """Calls a function again and again, in a thread of its own.

    Log lines of each call have a request id of their own.

    :param work: an exception is logged, and the next call is made in time.
    :param interval: seconds between the end of a call and the next one.
    """

    def __init__(self, work: Callable[[], object], interval: float, name: str):
        self._work = work
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """True if the work should end soon."""
        return self._stop.is_set()

    def start(self) -> None:
        """Make the first call now."""
        self._thread.start()

    def close(self) -> None:
        """Make no more calls; wait for the one under way, for one interval at most, and for
        ``CLOSE_TIME`` at most.
        """
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(min(self._interval, CLOSE_TIME))
            if self._thread.is_alive():
                LOG.warning('%s has not ended within %g s; the service ends without it',
                            self._thread.name, min(self._interval, CLOSE_TIME))

    def _run(self) -> None:
        while True:
            log_context.begin()
            try:
                self._work()
            except BaseException:       # a plugin may raise anything; the next call is made
                LOG.exception('%s failed; the next try is in %s s', self._thread.name,
                              self._interval)
            if self._stop.wait(self._interval):
                return
