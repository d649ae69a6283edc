"""Reads the beginning of staged data, and recognises data that was replaced."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator

from glancelite import contract

#: bytes at the beginning that tell data apart
HEAD = 1 << 16
#: seconds between two questions whether the work is to end
PAUSE = 1.0


@contextlib.contextmanager
def reading(job: contract.Job) -> Iterator[Iterator[bytes]]:
    """Return the staged data, and close it at the end."""
    chunks = job.read()
    try:
        yield chunks
    finally:
        close = getattr(chunks, 'close', None)      # not every iterator has it
        if close is not None:
            close()


def head(job: contract.Job, length: int) -> bytes:
    """Return the first bytes of the staged data; fewer if there are no more."""
    found = bytearray()
    with reading(job) as chunks:
        for chunk in chunks:
            found += chunk
            if len(found) >= length:
                break
    return bytes(found[:length])


def mark(job: contract.Job) -> str:
    """Return a text that is the same as long as the staged data is not replaced.

    A step that is run again finds out with it whether its former attempt came to the end:
    the new data may look like data that needs the step, such as an archive in an archive.
    """
    return f'{job.staged_size} {hashlib.sha256(head(job, HEAD)).hexdigest()}'


class Check:
    """Asks once a second whether the work is to end, however often it is called."""

    def __init__(self, job: contract.Job):
        self._job = job
        self._next = 0.0

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PAUSE
            self._job.check()
