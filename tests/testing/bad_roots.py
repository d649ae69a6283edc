"""Stores whose root can be taken away: a good one, and ones that report it wrongly."""

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore


class Rooted(MemoryStore):
    """A good one."""

    away = False

    def take_away(self):
        self.away = True

    def bring_back(self):
        self.away = False

    def _check(self):
        if self.away:
            raise contract.Unavailable('the root of the store is away')

    def write(self, key, chunks, *, size=None, ctx=None):
        self._check()
        return super().write(key, chunks)

    def _find(self, url):
        self._check()
        return super()._find(url)

    def discard(self, key, *, ctx=None):
        self._check()
        super().discard(key)

    def health(self):
        self._check()
        return super().health()


class TakesDataForMissing(Rooted):
    def size(self, url, *, ctx=None):
        if self.away:
            raise contract.NotFound('there is no data')
        return super().size(url)


class NamesTheRoot(Rooted):
    def read(self, url, *, offset=0, length=None, ctx=None):
        if self.away:
            raise contract.Unavailable('there is no directory /srv/images')
        return super().read(url, offset=offset, length=length)


class TakesDataForDeleted(Rooted):
    def delete(self, url, *, ctx=None):
        if self.away:
            raise contract.NotFound('there is no data')
        super().delete(url)


class DiscardsWithoutRoot(Rooted):
    def discard(self, key, *, ctx=None):
        if not self.away:
            super().discard(key)


class MakesARootAnew(Rooted):
    def write(self, key, chunks, *, size=None, ctx=None):
        self.away = False
        return super().write(key, chunks)


class IsHealthyWithoutRoot(Rooted):
    def health(self):
        return 'ok'
