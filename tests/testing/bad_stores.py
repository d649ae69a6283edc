"""Stores that each violate one claim of the contract."""

import threading

from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.store.memory import MemoryStore


class Overwrites(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        self.discard(key)
        return super().write(key, chunks)


class KeepsViews(MemoryStore):
    ACCEPTS_MEMORYVIEW = True


class LosesTheLastByte(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        data = b''.join(chunks)
        kept = super().write(key, iter([data[:-1] or data]))
        return contract.WriteResult(kept.url, len(data))


class BelievesTheSize(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        written = super().write(key, chunks)
        return contract.WriteResult(written.url, written.size if size is None else size)


class StopsAtTheSize(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        if size is None:
            return super().write(key, chunks)
        kept = []
        while sum(map(len, kept)) < size and (chunk := next(chunks, None)):
            kept.append(chunk)
        return super().write(key, iter(kept))


class PullsBeyondTheEnd(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        data = list(chunks)
        return super().write(key, iter([*data, *chunks]))


class LeavesPartials(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        if key in self._data:
            raise contract.Conflict('taken')
        data = []
        try:
            data.extend(chunks)
        finally:
            self._data[key] = tuple(data)
        return contract.WriteResult(self._prefix + key, sum(map(len, data)))


class ShowsPartials(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        if self._data.setdefault(key, ()):
            raise contract.Conflict('taken')
        try:
            for chunk in chunks:
                self._data[key] += (chunk,)
        except BaseException:
            self.discard(key)
            raise
        return contract.WriteResult(self._prefix + key, sum(map(len, self._data[key])))


class WrapsErrorsOfTheSource(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        try:
            return super().write(key, chunks)
        except contract.Conflict:
            raise
        except Exception as error:
            raise contract.Unavailable('something broke') from error


class TranslatesErrorsOfTheSource(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        try:
            return super().write(key, chunks)
        except OSError as error:
            if error.errno == 28:
                raise contract.TooLarge('full') from error
            raise


class LastWriterWins(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        if key in self._data:
            raise contract.Conflict('taken')
        self._data[key] = data = tuple(chunks)
        return contract.WriteResult(self._prefix + key, sum(map(len, data)))


class MixesUpWriters(MemoryStore):
    _buffer = ()

    def write(self, key, chunks, *, size=None, ctx=None):
        if key in self._data:
            raise contract.Conflict('taken')
        self._buffer = []
        for chunk in chunks:
            threading.Event().wait(0.0001)
            self._buffer.append(chunk)
        return super().write(key, iter(self._buffer))


class IgnoresOffset(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        return super().read(url, length=length)


class IgnoresLength(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        return super().read(url, offset=offset)


class ReadsPartsUndeclared(MemoryStore):
    CAPABILITIES = frozenset({'write'})


class ReportsLate(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        yield from super().read(url, offset=offset, length=length)


class YieldsEmptyChunks(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        return iter([b'', *super().read(url, offset=offset, length=length)])


class YieldsViews(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        return map(memoryview, super().read(url, offset=offset, length=length))


class SharesOneReader(MemoryStore):
    def read(self, url, *, offset=0, length=None, ctx=None):
        if offset or length is not None:
            return super().read(url, offset=offset, length=length)
        readers = self.__dict__.setdefault('readers', {})
        if readers.get(url) is None or readers[url].__length_hint__() == 0:
            readers[url] = super().read(url)
        return readers[url]


class DeletesTwice(MemoryStore):
    def delete(self, url, *, ctx=None):
        try:
            super().delete(url)
        except contract.NotFound:
            return


class DeletesNothing(MemoryStore):
    def delete(self, url, *, ctx=None):
        self._find(url)


class DeletesByPrefix(MemoryStore):
    def delete(self, url, *, ctx=None):
        self._find(url)
        for key in list(self._data):
            if self._key(url).startswith(key):
                del self._data[key]


class DiscardsNothing(MemoryStore):
    def discard(self, key, *, ctx=None):
        return


class DiscardsOnlyWhatIsThere(MemoryStore):
    def discard(self, key, *, ctx=None):
        del self._data[key]


class OwnsEverything(MemoryStore):
    def owns(self, url):
        return True


class FollowsDots(MemoryStore):
    def _key(self, url):
        key = super()._key(url)
        return key.removesuffix('/').removesuffix('/..').partition('\0')[0].strip()


class RaisesItsLibrarysErrors(MemoryStore):
    def _find(self, url):
        return self._data[url.removeprefix(self._prefix)]


class IgnoresCase(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        return super().write(key.lower(), chunks)

    def discard(self, key, *, ctx=None):
        super().discard(key.lower())


class ForgetsUndeclared(MemoryStore):
    VOLATILE = False


class RemembersThoughVolatile(MemoryStore):
    def __init__(self, options, host, **named):
        super().__init__(options, host, **named)
        self._data = host.__dict__.setdefault('stored', {})

    def close(self):
        return


class ShowsItsSecret(MemoryStore):
    OPTS = (cfg.StrOpt('key', default='s3cr3t', secret=True, help='A secret.'),)

    def properties(self):
        return {'endpoint': f'https://user:{self.options.key}@backend'}


class ShowsThePath(MemoryStore):
    def delete(self, url, *, ctx=None):
        try:
            super().delete(url)
        except contract.NotFound:
            raise contract.NotFound('there is no file /srv/images/x') from None


class RepeatsTheURL(MemoryStore):
    def size(self, url, *, ctx=None):
        try:
            return super().size(url)
        except contract.NotFound:
            raise contract.NotFound('there is no data', url=url) from None


class HasPropertiesThatAreNotJSON(MemoryStore):
    def properties(self):
        return {'keys': {1, 2}}


class NamesItsStoreItself(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        written = super().write(key, chunks)
        return contract.WriteResult(written.url, written.size, {'store': 'me'})


class HoldsAllInMemory(MemoryStore):
    def write(self, key, chunks, *, size=None, ctx=None):
        return super().write(key, iter([b''.join(chunks)]))


class LeavesSomethingElsewhere(MemoryStore):
    """Leaves data that only ``leftovers`` reports."""

    def write(self, key, chunks, *, size=None, ctx=None):
        self.__dict__.setdefault('temporary', []).append(key)
        return super().write(key, chunks)
