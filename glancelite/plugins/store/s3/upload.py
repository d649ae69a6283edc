"""One upload to S3: in one request, or in parts sent in parallel from bounded memory."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.client import Client
from glancelite.plugins.store.s3.errors import RequestFailed
from glancelite.plugins.store.s3.parts import MAX_PARTS, Part, PartReader, StreamedBody, part_sizes

LOG = logging.getLogger(__name__)

#: number and length of the parts that are being sent
_Pending = dict[Future[str], tuple[int, int]]

#: metadata that tells an object of this upload from one that another writer made
WRITE_ID = 'glancelite-write'


class PartSender:
    """The threads that send the parts of all uploads of a store."""

    def __init__(self, threads: int, name: str):
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._idle = threads

    @property
    def busy(self) -> bool:
        """Whether another part would only wait, and occupy memory."""
        return self._idle <= 0

    def submit(self, send: Callable[..., str], *arguments: object) -> Future[str]:
        self._add_idle(-1)
        try:
            task = self._pool.submit(send, *arguments)
        except BaseException:
            self._add_idle(1)
            raise
        task.add_done_callback(lambda _: self._add_idle(1))
        return task

    def _add_idle(self, count: int) -> None:
        with self._lock:
            self._idle += count

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


class Upload:
    """Writes one object.

    :param part_size: bytes of the smallest part.
    :param memory: bytes of parts that are held at once; at least two parts are held, and only
        two while other uploads keep the sender busy.
    :param threshold: data below this size is sent in one request.
    """

    def __init__(self, client: Client, sender: PartSender, key: str, *,
                 part_size: int, memory: int, threshold: int):
        self._client = client
        self._sender = sender
        self._key = key
        self._part_size = part_size
        self._memory = memory
        self._threshold = threshold
        self._write_id = uuid.uuid4().hex
        self._metadata = {WRITE_ID: self._write_id}

    def run(self, chunks: Iterator[bytes], size: int | None) -> int:
        """Send everything, or leave nothing.

        :returns: the number of bytes.
        :raises Conflict: another writer was faster.
        :raises RequestFailed: the endpoint returned an error or no response.
        """
        reader = PartReader(chunks)
        sizes = part_sizes(self._part_size, size)
        length = reader.fill(next(sizes))
        if reader.ended and (not length or length < self._threshold):
            self._put(reader.take())
            return length
        if (not reader.ended and size and length < size < self._threshold
                and not self._client.checksums):
            self._put_stream(StreamedBody(reader.take(), reader.rest(), size,
                                          self._check_absent), size)
            return size
        return self._multipart(reader, length, sizes)

    # in one request

    def _put(self, part: Part) -> None:
        try:
            self._create('put_object', Body=part if part.length else b'', Metadata=self._metadata)
        except RequestFailed as failure:
            self._raise_unless_written(failure, part.length)

    def _put_stream(self, body: StreamedBody, size: int) -> None:
        remaining = self._client.retries
        while True:
            try:
                self._create('put_object', Body=body, ContentLength=size, unsigned=True,
                             Metadata=self._metadata)
                return
            except BaseException as failure:    # of the source, too
                error = failure
            if body.failure is not None:
                raise body.failure  # boto3 has wrapped it
            if not isinstance(error, RequestFailed):
                raise error
            if not (error.ambiguous and remaining) or body.started:
                self._raise_unless_written(error, size)
                return
            remaining -= 1

    # in parts

    def _multipart(self, reader: PartReader, length: int, sizes: Iterator[int]) -> int:
        upload_id = self._client.call('create_multipart_upload', Key=self._key,
                                      Metadata=self._metadata)['UploadId']
        try:
            etags, size = self._send_parts(upload_id, reader, length, sizes)
            self._check_absent()
            try:
                self._create('complete_multipart_upload', UploadId=upload_id, MultipartUpload={
                    'Parts': [{'PartNumber': number, 'ETag': etags[number]}
                              for number in sorted(etags)]})
            except RequestFailed as failure:
                self._raise_unless_written(failure, size)
        except BaseException:
            self._abort(upload_id)
            raise
        return size

    def _send_parts(self, upload_id: str, reader: PartReader, length: int,
                    sizes: Iterator[int]) -> tuple[dict[int, str], int]:
        """Send the parts while the next one is read.

        :param length: bytes of the first part, which is in the reader already.
        :returns: the ETag of each part by number, and the bytes of all.
        """
        etags: dict[int, str] = {}
        pending: _Pending = {}
        total = held = 0
        number = 1
        try:
            while True:
                # the task has the only reference to its part
                task = self._sender.submit(self._send_part, upload_id, number, reader.take())
                pending[task] = number, length
                total += length
                held += length
                next_size = 0 if reader.ended else next(sizes)
                # one part is always being sent while the next is read
                while pending and (reader.ended or any(map(_is_done, pending)) or (
                        (held + next_size > self._memory or self._sender.busy)
                        and len(pending) > 1)):
                    held -= _collect(pending, etags)
                if reader.ended:
                    return etags, total
                number += 1
                if number > MAX_PARTS:
                    raise contract.TooLarge('The data is too large for the store.')
                length = reader.fill(next_size)
        except BaseException:
            for task in pending:
                task.cancel()
            # a part that arrives after the end of the upload could stay forever
            concurrent.futures.wait(pending)
            raise

    def _send_part(self, upload_id: str, number: int, part: Part) -> str:
        return self._client.call('upload_part', Key=self._key, UploadId=upload_id,
                                 PartNumber=number, Body=part)['ETag']

    def _abort(self, upload_id: str) -> None:
        try:
            self._client.call('abort_multipart_upload', Key=self._key, UploadId=upload_id)
        except RequestFailed as failure:
            if failure.status != 404:
                LOG.warning('parts of %s may remain in the bucket: %s', self._key, failure)

    # the object

    def _create(self, operation: str, **arguments: Any) -> None:
        """Create the object, on condition that it does not exist."""
        if self._client.conditional:
            try:
                self._client.call(operation, Key=self._key, IfNoneMatch='*', **arguments)
                return
            except RequestFailed as failure:
                body = arguments.get('Body')
                if failure.status != 501 or (isinstance(body, StreamedBody) and body.started):
                    raise
                if isinstance(body, Part):
                    body.seek(0)
                self._client.conditional = False
        self._client.call(operation, Key=self._key, **arguments)

    def _check_absent(self) -> None:
        """Check again before the last request.

        Ceph ignores the condition when an upload in parts is completed, and Swift evaluates
        that of a single request only when it begins.

        :raises Conflict: the object exists.
        """
        if self._client.head(self._key) is not None:
            raise store_rules.key_in_use()

    def _raise_unless_written(self, failure: RequestFailed, size: int) -> None:
        """Return if this upload wrote the object in spite of the failure.

        A response can get lost.  The retry then fails because the object exists, or because
        there is no such upload.
        """
        if failure.ambiguous or failure.exists or failure.code == 'NoSuchUpload':
            try:
                head = self._client.head(self._key)
            except RequestFailed as error:
                LOG.warning('it is unknown whether %s was written: %s', self._key, error)
                raise failure from error
            if (head and head.get('Metadata', {}).get(WRITE_ID) == self._write_id
                    and head['ContentLength'] == size):
                return
        if failure.exists:
            raise store_rules.key_in_use() from failure
        raise failure


def _collect(pending: _Pending, etags: dict[int, str]) -> int:
    """Wait for a part, and record the ETags of all that have been sent.

    :returns: their bytes.
    """
    done, _ = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
    freed = 0
    for task in done:
        number, length = pending.pop(task)
        freed += length
        etags[number] = task.result()
    return freed


def _is_done(task: Future[str]) -> bool:
    return task.done()
