"""The segments of one image, and how they are taken back."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import logging
import tempfile
import time

from glancelite import contract
from glancelite.plugins.store.swift.account import accept, broken, refusal, send
from glancelite.plugins.store.swift.client import BROKEN, Reply

LOG = logging.getLogger(__name__)

#: how often a segment that is on disk is sent
TRIES = 4


class Segments:
    """Writes them in order.

    Swift needs a moment to bring a segment to its disks. So its answer is read when the next
    segment is through: at most two requests are open, and no data waits.
    """

    def __init__(self, writing, name, rules):
        self._writing = writing
        self._name = name
        self._rules = rules
        self._number = 0
        self._ours = []
        self._waiting = None
        #: name, checksum and size of each
        self.done: list[tuple[str, str, int]] = []

    def add(self, source):
        """Write one segment, with what the source has."""
        self._number += 1
        name = f'{self._name}-{self._number:05}'
        if self._rules.buffer is None:
            self._direct(name, source)
        else:
            self._buffered(name, source)

    def finish(self):
        """Read the answer that is not read yet."""
        if self._waiting is None:
            return
        (name, upload, size), self._waiting = self._waiting, None
        try:
            reply = accept(send(upload.finish))
        finally:
            upload.abort()
        self.done.append((name, _checksum(reply), size))

    def remove(self):
        """Take everything back; what cannot be is in the log."""
        try:
            self.finish()   # or else it could appear when we have looked
        except contract.Error as error:
            LOG.info('a segment of %s has failed too: %s', self._name, error)
        for name in reversed(self._ours):
            self._writing.forget(name)

    def _direct(self, name, source):
        upload = self._writing.begin(name)
        try:
            self._ours.append(name)
            size = 0
            for piece in source.pieces(self._rules.segment):
                send(upload.write, piece)
                size += len(piece)
            self.finish()
        except BaseException:
            upload.abort()
            raise
        self._waiting = name, upload, size

    # segments that are kept until Swift has them

    def _buffered(self, name, source):
        with contextlib.ExitStack() as closing:
            try:
                file = closing.enter_context(tempfile.TemporaryFile(
                    dir=self._rules.buffer, buffering=0))
            except OSError as error:
                raise _no_room(error) from error
            checksum, size = hashlib.md5(usedforsecurity=False), 0
            for piece in source.pieces(self._rules.segment):
                try:
                    _write(file, piece)
                except OSError as error:
                    raise _no_room(error) from error
                checksum.update(piece)
                size += len(piece)
            self._until_there(name, file, size, checksum.hexdigest())
        self.done.append((name, checksum.hexdigest(), size))

    def _until_there(self, name, file, size, checksum):
        """Send a segment as often as it makes sense."""
        for number in range(TRIES):
            last = number == TRIES - 1
            try:
                reply = self._once(name, file, size, checksum)
            except contract.Unavailable:
                if last:
                    raise
            else:
                if reply.status == http.client.CREATED:
                    return
                if number and reply.status == http.client.PRECONDITION_FAILED:
                    head = self._writing.account.head(self._writing.container, name)
                    if head.get('ETag') == checksum:
                        return      # what is there is what we have sent before
                if last or (reply.status < 500
                            and reply.status != http.client.REQUEST_TIMEOUT):
                    raise refusal(reply)
            LOG.warning('segment %s is sent again', name)
            time.sleep(0.5 * 2 ** number)

    def _once(self, name, file, size, checksum):
        upload = self._writing.attempt(name, size, {'ETag': checksum})
        if isinstance(upload, Reply):
            return upload
        if name not in self._ours:
            self._ours.append(name)
        try:
            upload.write_file(file)
            return upload.finish()
        except BROKEN as error:
            raise broken(error) from error
        finally:
            upload.abort()


def _checksum(reply):
    return reply.headers.get('ETag', '').strip('"')


def _write(file, piece):
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest):]


def _no_room(error):
    LOG.error('swift_upload_buffer_dir cannot be used: %s', error.strerror)
    return contract.Unavailable('The store cannot buffer the data.')
