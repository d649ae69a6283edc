"""Chosen moments of an import."""

import collections
import random
import threading

from tests.durability.cluster import PATIENCE


class Moments:
    """For ``Cluster.begin(watch=...)``: calls a function once in each phase of ``plan``.

    :param plan: phase -> size of what passes in it before the call.  If there is less, the call
        comes at the begin of the next phase.
    :param act: called with the worker; if it returns true, the last piece of data is lost.
    :ivar passed: phase -> size of what has passed.
    :ivar claims: for each claim of the task, the number of bytes that were staged then.
    :ivar done: the phases of the calls.
    """

    def __init__(self, plan=(), act=None):
        self._plan = dict(plan)
        self._act = act
        self._last = {}
        self.passed = collections.Counter()
        self.claims = []
        self.done = []

    def __call__(self, worker, size):
        phase, last = worker.phase, self._last.get(worker)
        if last is None:
            self.claims.append(worker.staged)
        self._last[worker] = phase
        self.passed[phase] += size
        if last != phase and last in self._plan:
            due = last
        elif phase in self._plan and self.passed[phase] > self._plan[phase]:
            due = phase
        else:
            return False
        del self._plan[due]
        self.done.append(due)
        del self._last[worker]
        return self._act(worker)


class Hold:
    """A function for ``Moments`` that holds all workers until the test lets them go on."""

    def __init__(self):
        self._reached = threading.Semaphore(0)
        self._released = threading.Semaphore(0)

    def __call__(self, worker):
        self._reached.release()
        self._released.acquire(timeout=PATIENCE)
        return False

    def wait(self):
        assert self._reached.acquire(timeout=PATIENCE)

    def release(self):
        self._released.release()


def kills(seed):
    """Return a function for ``Moments`` that kills; half of the last pieces are lost."""
    rng = random.Random(seed)

    def kill(worker):
        worker.kill()
        return rng.random() < 0.5
    return kill
