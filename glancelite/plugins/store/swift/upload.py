"""From an iterator of unknown length to one object, whole or in segments."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import http.client
import itertools
import json
import logging
import sys
import urllib.parse
from collections.abc import Callable, Iterator

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.account import Account, accept, refusal, send
from glancelite.plugins.store.swift.client import Reply
from glancelite.plugins.store.swift.segments import Segments

LOG = logging.getLogger(__name__)

#: what is in memory before the first byte goes out: smaller images are one simple request
AHEAD = 1 << 20
#: smaller chunks are put together
LEAST = 1 << 16

NEW = {'If-None-Match': '*', 'Content-Type': 'application/octet-stream'}


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """How an image is cut.

    :ivar large: images of so many bytes become segments.
    :ivar segment: bytes per segment.
    :ivar listed: an SLO is wanted, not a DLO.
    :ivar buffer: directory for segments that wait; None to send them as they come.
    """

    large: int
    segment: int
    listed: bool
    buffer: str | None


class Writing:
    """Writes one image.

    :param ready: makes the container; called if it is missing.
    :param prolong: called before what may take long.
    """

    def __init__(self, account: Account, container: str, name: str, rules: Rules,
                 ready: Callable[[], None], prolong: Callable[[], None]):
        self.account = account
        self.container = container
        self._name = name
        self._rules = rules
        self._ready = ready
        self._prolong = prolong

    def run(self, chunks: Iterator[bytes], size: int | None) -> int:
        """Write everything, or nothing at all; returns how many bytes."""
        chunks = _gathered(chunks)
        first, held = [], 0
        for chunk in chunks:
            first.append(chunk)
            held += len(chunk)
            if held > AHEAD:
                break
        else:
            self._whole(first, held)
            return held
        rest = _Source(first, chunks)
        if size is not None and held <= size < self._rules.large:
            return self._stream(rest)
        self._prolong()
        return self._segmented(rest)

    # one object

    def _whole(self, chunks, size):
        if not size:    # no server asks for nothing with 100 Continue
            reply = self.account.put(self.container, self._name, headers=NEW)
            if reply.status == http.client.NOT_FOUND:
                self._ready()
                reply = self.account.put(self.container, self._name, headers=NEW)
            accept(reply)
            return
        upload = self.begin(self._name, size)
        try:
            for chunk in chunks:
                send(upload.write, chunk)
            self._conclude(upload)
        finally:
            upload.abort()

    def _stream(self, source):
        """The length is not sent: what a client promises need not come."""
        upload = self.begin(self._name)
        try:
            for piece in source.pieces():
                send(upload.write, piece)
            self._conclude(upload)
        finally:
            upload.abort()
        return source.given

    def _conclude(self, upload):
        try:
            accept(send(upload.finish))
        except contract.Unavailable:
            self.forget(self._name)     # it may be there all the same
            raise

    # segments

    def _segmented(self, source):
        with contextlib.suppress(contract.NotFound):
            self.account.head(self.container, self._name)
            raise store_rules.key_in_use()
        segments = Segments(self, self._name, self._rules)
        try:
            while not source.ended():
                segments.add(source)
            segments.finish()
            self._join(segments.done)
        except BaseException:
            segments.remove()
            raise
        return source.given

    def _join(self, done):
        """Make one object of the segments."""
        etag = hashlib.md5(''.join(each for _, each, _ in done).encode(),
                           usedforsecurity=False).hexdigest()
        where = urllib.parse.quote(f'{self.container}/{self._name}-')
        try:
            if not (self._rules.listed and self._list(done, etag)):
                accept(self.account.put(self.container, self._name,
                                        headers={**NEW, 'X-Object-Manifest': where}))
        except contract.Unavailable:
            with contextlib.suppress(contract.Error):   # it may be there all the same
                head = self.account.head(self.container, self._name)
                if _etag(head) == etag or head.get('X-Object-Manifest') == where:
                    self.forget(self._name)
            raise

    def _list(self, done, etag):
        """Write the list of segments; False if Swift knows no lists, or none of this length."""
        body = json.dumps([{'path': f'/{self.container}/{segment}', 'etag': each,
                            'size_bytes': size} for segment, each, size in done])
        reply = self.account.put(
            self.container, self._name, body.encode(), '?multipart-manifest=put', NEW,
            timeout=300 + len(done))    # Swift looks at every segment
        if reply.status == http.client.REQUEST_ENTITY_TOO_LARGE:
            return False
        if (reply.status == http.client.PRECONDITION_FAILED
                and _etag(self.account.head(self.container, self._name)) == etag):
            return True     # an answer was lost, and the request was sent again
        accept(reply)
        if (_etag(reply.headers) == etag or 'X-Static-Large-Object' in
                self.account.head(self.container, self._name)):
            return True
        self.forget(self._name)     # what was kept is the list itself
        return False

    # requests

    def begin(self, name, length=None):
        """A PUT that is welcome; whoever begins it finishes or aborts it."""
        found = self.attempt(name, length)
        if isinstance(found, Reply):
            raise refusal(found)
        return found

    def attempt(self, name, length=None, headers=contract.EMPTY):
        """As ``begin``; but a refusal is returned."""
        headers = {**NEW, **headers}
        found = self.account.begin(self.container, name, headers, length)
        if found.status == http.client.NOT_FOUND:
            self._ready()
            found = self.account.begin(self.container, name, headers, length)
        return found

    def forget(self, name):
        """Remove an object of ours in passing: something else is wrong already."""
        try:
            self.account.remove(self.container, name)
        except contract.NotFound:
            pass
        except contract.Error as error:
            LOG.error('%s/%s stays behind: %s', self.container, name, error)


def _etag(headers):
    return headers.get('ETag', '').strip('"')


def _gathered(chunks):
    """The same bytes, in chunks that are worth a system call."""
    small, held = [], 0
    for chunk in chunks:
        if not small and len(chunk) >= LEAST:
            yield chunk
            continue
        small.append(chunk)
        held += len(chunk)
        if held >= LEAST:
            yield b''.join(small)
            small, held = [], 0
    if small:
        yield b''.join(small)


class _Source:
    """Chunks that can be had in pieces which end where a segment does."""

    def __init__(self, first, rest):
        self._first = collections.deque(first)
        self._rest = rest
        self.given = 0

    def ended(self) -> bool:
        """Is there nothing any more?  Looks one chunk ahead."""
        if not self._first:
            self._first.extend(itertools.islice(self._rest, 1))
        return not self._first

    def pieces(self, limit: int = sys.maxsize) -> Iterator[bytes | memoryview]:
        """What comes next, up to ``limit`` bytes."""
        while limit and not self.ended():
            piece = self._first.popleft()
            if len(piece) > limit:
                piece = memoryview(piece)
                self._first.appendleft(piece[limit:])
                piece = piece[:limit]
            limit -= len(piece)
            self.given += len(piece)
            yield piece
