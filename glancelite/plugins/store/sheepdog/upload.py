"""Writes image data in parts that wait in temporary files."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import logging
import os
import tempfile
from collections.abc import Generator, Iterator
from typing import BinaryIO

from glancelite import contract
from glancelite.plugins.store.sheepdog.client import Client

LOG = logging.getLogger(__name__)

#: parts of an image that are written at once: one starts while the other ends
PARALLEL = 2


def upload(client: Client, name: str, chunks: Iterator[bytes], part_size: int) -> int:
    """Write all data to an empty image, and collect the next part meanwhile.

    An image cannot shrink, so it grows only for a part that is complete.

    :returns: the number of bytes.
    :raises CommandFailed: a command fails.
    """
    end = 0
    running: collections.deque[concurrent.futures.Future[None]] = collections.deque()
    with (concurrent.futures.ThreadPoolExecutor(PARALLEL, 'sheepdog') as pool,
          contextlib.closing(_parts(chunks, part_size)) as parts):
        for part, length in parts:
            with contextlib.ExitStack() as on_failure:
                on_failure.callback(part.close)
                if len(running) == PARALLEL:
                    running.popleft().result()
                client.resize(name, end + length)
                on_failure.pop_all()
            running.append(pool.submit(_write, client, name, end, part, length))
            end += length
        while running:
            running.popleft().result()
    return end


def _write(client: Client, name: str, offset: int, part: BinaryIO, length: int) -> None:
    with part:
        client.write(name, offset, part, length)


def _parts(chunks: Iterator[bytes],
           part_size: int) -> Generator[tuple[BinaryIO, int], None, None]:
    """Yield unnamed files and their sizes: ``part_size``, except for the last."""
    part, length = None, 0
    try:
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                if part is None:
                    part, length = _temporary_file(), 0
                piece = view[:part_size - length]
                _append(part, piece)
                length += len(piece)
                view = view[len(piece):]
                if length == part_size:
                    complete, part = part, None
                    yield complete, length
        if part is not None:
            complete, part = part, None
            yield complete, length
    finally:
        if part is not None:
            part.close()


def _temporary_file() -> BinaryIO:
    try:
        return tempfile.TemporaryFile(prefix='glancelite-', buffering=0)
    except OSError as error:
        raise _temporary_file_error(error) from error


def _append(file: BinaryIO, data: memoryview) -> None:
    try:
        while data:
            data = data[os.write(file.fileno(), data):]
    except OSError as error:
        raise _temporary_file_error(error) from error


def _temporary_file_error(error: OSError) -> contract.Unavailable:
    LOG.error('temporary files in %s: %s', tempfile.gettempdir(), error.strerror)
    return contract.Unavailable('The store cannot be used now.')
