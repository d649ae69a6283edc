"""Stores of which one service cannot have two."""

import weakref

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore
from tests.testing.bad_capabilities import Able


class _Pair(MemoryStore):
    """Knows the other one by their common host."""

    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        host.__dict__.setdefault('all', []).append(weakref.proxy(self))

    def others(self):
        return [each for each in self.host.all if each.name != self.name]


class OwnsTheOthers(MemoryStore):
    def owns(self, url):
        return url.startswith('memory://')

    def _key(self, url):
        if not url.startswith(self._prefix):
            raise contract.Invalid('of the other one')
        return url.removeprefix(self._prefix)


class HasTheSameAddresses(MemoryStore):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._prefix = 'memory://all/'


class KeepsOneForBoth(_Pair):
    """The last one that wrote under a key has it, under both addresses."""

    def write(self, key, chunks, *, size=None, ctx=None):
        written = super().write(key, chunks)
        for other in self.others():
            other._stored[key] = self._stored[key]
        return written


class FollowsTheOther(_Pair):
    def size(self, url, *, ctx=None):
        for other in self.others():
            if other.owns(url):
                return len(other._find(url))
        return super().size(url)


class DiscardsForBoth(_Pair):
    def discard(self, key, *, ctx=None):
        super().discard(key)
        for other in self.others():
            other._stored.pop(key, None)


class ClaimsTheSame(Able):
    def exclusive_resources(self):
        return {'memory'}
