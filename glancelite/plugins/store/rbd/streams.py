"""The bytes of an RBD image, on their way in and out: several operations at once."""

from __future__ import annotations

import collections
import struct
import threading

from glancelite import contract

#: bytes per operation: enough that its price does not matter; places that are a multiple of
#: it are the start of an object, or in the middle of a larger one
UNIT = 4 << 20
#: chunks below this are gathered before anything else is done with them
CRUMB = 64 << 10
#: the most that an image of unknown size grows by
LARGEST_STEP = 8 << 30

_ZEROS = bytes(UNIT)


class Writer:
    """Fills an image from its start; grows it when needed.

    All methods are for one thread, and raise contract errors.

    :param cluster: gives failures their meaning.
    :param image: an open ``rbd.Image``.
    :param capacity: its size.
    :param chunk: the configured chunk in bytes; growing starts with two.
    :param parallel: operations in flight at most.
    :param thin: skip what is zero.
    """

    def __init__(self, cluster, image, capacity, *, chunk, parallel, thin):
        self.size = 0
        self._cluster = cluster
        self._image = image
        self._capacity = capacity
        self._step = 2 * chunk
        self._thin = thin
        self._parallel = parallel
        self._free = threading.Semaphore(parallel)
        self._failed = None
        self._crumbs = bytearray()
        self._pieces = []
        self._held = 0

    def put(self, data):
        """Take bytes; they are written when there are enough."""
        if len(data) < CRUMB:
            self._crumbs += data
            if len(self._crumbs) < CRUMB:
                return
            data = b''
        if self._crumbs:
            self._gather(bytes(self._crumbs))
            self._crumbs.clear()
        if data:
            self._gather(data)

    def finish(self):
        """Write the rest, see all arrive, and cut the image to what came."""
        self._gather(bytes(self._crumbs))
        self._crumbs.clear()
        for piece in self._pieces:
            self._write(piece)
        self._pieces.clear()
        for _ in range(self._parallel):
            self._free.acquire()
        self._check()
        with self._cluster.meanings():
            if self._capacity != self.size:
                self._image.resize(self.size)
            self._image.flush()

    def _gather(self, piece):
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held < UNIT:
            return
        data = b''.join(self._pieces) if len(self._pieces) > 1 else piece
        whole = len(data) - len(data) % UNIT
        if whole == len(data) == UNIT:
            self._write(data)
        else:
            for start in range(0, whole, UNIT):
                self._write(data[start:start + UNIT])
        rest = data[whole:]
        self._pieces = [rest] if rest else []
        self._held = len(rest)

    def _write(self, data):
        start, self.size = self.size, self.size + len(data)
        if self.size > self._capacity:
            self._grow()
        if self._thin and data == (_ZEROS if len(data) == UNIT else _ZEROS[:len(data)]):
            return
        self._free.acquire()
        self._check()
        with self._cluster.meanings():
            self._image.aio_write(data, start, self._arrived)

    def _grow(self):
        while self._capacity < self.size:
            self._capacity += self._step
            self._step = min(2 * self._step, LARGEST_STEP)
        with self._cluster.meanings():
            self._image.resize(self._capacity)

    def _arrived(self, completion):     # in a thread of librbd
        code = completion.get_return_value()
        if code < 0 and self._failed is None:
            self._failed = code
        self._free.release()

    def _check(self):
        if self._failed is not None:
            raise self._cluster.meaning(self._failed, f'a write failed with {self._failed}')


class Reader:
    """The bytes of a part of an image, read ahead; an iterator to be closed.

    Whatever an image lacks reads as zeros, so one that is deleted meanwhile would go on with
    zeros.  A snapshot goes before the data that it holds: it is looked for after the data was
    read, and before anybody gets it.

    :param session: closed with the reader, as is ``image``.
    :param image: opened at its snapshot.
    :param snapshot: its name; None if the image was opened without, and so that it is watched.
    :param parallel: operations in flight at most.
    """

    def __init__(self, cluster, session, image, snapshot, offset, length, *, parallel):
        self._cluster = cluster
        self._session = session
        self._image = image
        self._at = offset
        self._end = offset + length
        self._guard = None
        self._coming = collections.deque()
        self._sure = 0      # how many of the first of them were read when all was well
        if snapshot is not None and not image.old_format():
            number = next(snap['id'] for snap in image.list_snaps() if snap['name'] == snapshot)
            self._guard = f'rbd_header.{image.id()}', struct.pack('<Q', number)
        with cluster.meanings():
            for _ in range(parallel):
                self._ask()

    def __iter__(self):
        return self

    def __next__(self):
        if not self._coming:
            self.close()
            raise StopIteration
        try:
            data = self._take()
            with self._cluster.meanings():
                self._ask()
        except BaseException:
            self.close()
            raise
        return data

    def close(self):
        """Let go of the image; what is still on its way is awaited and dropped."""
        image, self._image = self._image, None
        self._coming.clear()
        if image is not None:
            with self._cluster.meanings():
                image.close()
            self._session.close()

    def __del__(self):
        self.close()

    def _ask(self):
        """Start the next read, if there is one."""
        length = min(UNIT - self._at % UNIT, self._end - self._at)
        if length > 0:
            part = _Part(length)
            self._image.aio_read(self._at, length, part.arrived)
            self._coming.append(part)
            self._at += length

    def _take(self):
        part = self._coming[0]
        part.ready.acquire()
        if part.code < 0:
            raise self._cluster.meaning(part.code, f'a read failed with {part.code}')
        if len(part.data) != part.length:
            raise contract.Unavailable('The data is shorter than it was.')
        if not self._sure:
            self._look()
        self._sure -= 1
        return self._coming.popleft().data

    def _look(self):
        """See that the snapshot is there: good for everything that has been read by now."""
        read = 0
        for part in self._coming:
            if part.data is None:
                break
            read += 1
        if self._guard is not None:
            header, snapshot = self._guard
            with self._cluster.meanings():
                self._session.ioctx.execute(header, 'rbd', 'get_size', snapshot)
        self._sure = read


class _Part:
    """One read; ``ready`` is free when it is done."""

    __slots__ = ('code', 'data', 'length', 'ready')

    def __init__(self, length):
        self.length = length
        self.code = 0
        self.data = None
        self.ready = threading.Lock()
        self.ready.acquire()

    def arrived(self, completion, data):    # in a thread of librbd
        self.code = completion.get_return_value()
        self.data = data
        self.ready.release()
