"""Stores that affect another store of the same driver."""

import weakref

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore
from tests.testing.bad_capabilities import Able


class _Pair(MemoryStore):
    """Finds the other stores through the common host."""

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
            raise contract.Invalid('a URL of the other store')
        return url.removeprefix(self._prefix)


class HasTheSameAddresses(MemoryStore):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._prefix = 'memory://all/'


class KeepsOneForBoth(_Pair):
    """The last write of a key replaces the data in both stores."""

    def write(self, key, chunks, *, size=None, ctx=None):
        written = super().write(key, chunks)
        for other in self.others():
            other._data[key] = self._data[key]
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
            other._data.pop(key, None)


class ClaimsTheSame(Able):
    def exclusive_resources(self):
        return {'memory'}
