"""Limits the memory that large images need together, in all threads of a process."""

from __future__ import annotations

import dataclasses
import threading
import time
import weakref
from collections.abc import Mapping

from glancelite import contract

#: bytes of content for which nothing is taken, of all images that are read together
ORDINARY = 1 << 19
#: bytes of content; each is in memory two to four times while an answer is made of it
TOTAL = 12 << 20
#: seconds for which others wait for what is taken: a transfer may keep its image for hours
LONGEST = 20.0
#: seconds to wait
TIMEOUT = 60.0
#: seconds between looks at what was given back
PAUSE = 0.005


class Held:
    """Memory that was taken, until nothing refers to this object any more."""

    __slots__ = ('__weakref__',)


class Budget:
    """Memory that threads take before they read large images.

    :param total: in bytes.  More than that may be taken at once, while no other has any.
    :param longest: seconds for which others wait for what is taken.
    :param timeout: seconds to wait.
    """

    def __init__(self, total: int = TOTAL, *, longest: float = LONGEST,
                 timeout: float = TIMEOUT):
        self._total, self._longest, self._timeout = total, longest, timeout
        self._turn = threading.Lock()
        #: what was taken, its size, when, and by which thread
        self._taken: list[tuple[weakref.ref[Held], int, float, int]] = []

    def take(self, size: int) -> Held:
        """Wait until so many bytes are free, one thread after the other.

        A thread that has some already does not wait: it would wait for itself.

        :raises Unavailable: other threads need the memory for too long.
        """
        deadline = time.monotonic() + self._timeout
        if not self._turn.acquire(timeout=self._timeout):
            raise _busy()
        try:
            while not self._is_free_locked(size):
                if time.monotonic() > deadline:
                    raise _busy()
                time.sleep(PAUSE)
            held = Held()
            self._taken.append((weakref.ref(held), size, time.monotonic(),
                                threading.get_ident()))
        finally:
            self._turn.release()
        return held

    def _is_free_locked(self, size: int) -> bool:
        late = time.monotonic() - self._longest
        self._taken = [taken for taken in self._taken
                       if taken[0]() is not None and taken[2] > late]
        return (size + sum(taken[1] for taken in self._taken) <= self._total
                or not self._taken
                or any(taken[3] == threading.get_ident() for taken in self._taken))


class HoldingProperties(dict[str, str]):
    """The properties of a large image, and what was taken for it."""

    __slots__ = ('_held',)

    def __init__(self, properties: Mapping[str, str], held: Held):
        super().__init__(properties)
        self._held = held


def holding(image: contract.Image, held: Held) -> contract.Image:
    """Return the image such that ``held`` is not given back while its properties are used."""
    return dataclasses.replace(image, properties=HoldingProperties(image.properties, held))


def _busy() -> contract.Unavailable:
    return contract.Unavailable('Other requests for large images need all the memory that such '
                                'images may use; try again.')
