"""Kills the process that runs an import, at chosen moments."""

import collections


class Kills:
    """For ``Cluster.watch``: ends the worker in each phase of ``plan``.

    :param plan: phase -> number of events in it before the process is killed.  If the phase has
        fewer, it is killed at the begin of the next one.
    :param forward: called at each kill; true if the last piece reaches its destination.
    :ivar counted: phase -> number of its events.
    :ivar done: the phases in which the process was killed.
    """

    def __init__(self, plan, forward):
        self._plan = dict(plan)
        self._forward = forward
        self._last = None
        self.counted = collections.Counter()
        self.done = []

    def __call__(self, worker):
        phase = worker.phase
        self.counted[phase] += 1
        late = self._last != phase and self._last in self._plan
        due = self._last if late else phase
        self._last = phase
        if due not in self._plan or not (late or self.counted[phase] > self._plan[phase]):
            return False
        del self._plan[due]
        self._last = None
        self.done.append(due)
        worker.kill()
        return not self._forward()
