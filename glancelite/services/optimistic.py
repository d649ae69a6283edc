"""Optimistic writes: read an image, decide, write; start again after a conflict."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from glancelite import contract
from glancelite.contract import Image, Viewer

Decision = TypeVar('Decision')
Result = TypeVar('Result')

#: how often a write is tried when other writers are faster
TRIES = 8
#: most seconds of the first pause, which is before the third try; each later pause is up to
#: twice as long
PAUSE = 0.004
#: how often the pause is doubled at most
DOUBLINGS = 8


def retry(read: Callable[[], Image], decide: Callable[[Image], Decision | None],
          write: Callable[[Image, Decision], Result], *,
          tries: int | None = TRIES) -> Result | None:
    """Read an image and write to it; again from the start if another writer was faster.

    :param decide: returns what to write, None for nothing.  Its errors end the retries.
    :param tries: None for no limit.
    :returns: the result of ``write``; None if there was nothing to write.
    :raises Conflict: another writer was faster each time.
    """
    number = 0
    while True:
        number += 1
        image = read()
        decision = decide(image)
        if decision is None:
            return None
        try:
            return write(image, decision)
        except contract.Conflict:
            if number == tries:
                raise
        if number > 1:  # pauses of random length separate writers that keep colliding
            time.sleep(random.uniform(0, PAUSE * 2 ** min(number - 2, DOUBLINGS)))  # noqa: S311


def change(records: contract.ImageRecords, image_id: str,
           decide: Callable[[Image], Mapping[str, object] | None], *,
           viewer: Viewer | None = None, status: Collection[str] | None = None,
           tries: int | None = TRIES) -> Image | None:
    """Change an image, or refuse to, by what it is at the moment of the write.

    :param decide: returns the changes; None for none.  Its errors end the retries.
    :param viewer: sees the image; None for the service.
    :param status: as in ``ImageRecords.update``.
    :returns: the image as written; None if ``decide`` returned None.
    :raises NotFound: the viewer sees no such image.
    :raises Conflict: another writer was faster each time.
    """
    return retry(lambda: records.get(image_id, viewer=viewer), decide,
                 lambda image, changes: records.update(image, changes, status=status),
                 tries=tries)


def update(records: contract.ImageRecords, image_id: str,
           change: Callable[[Image], Mapping[str, object] | None], *,
           known: Image | None = None, status: Collection[str] | None = None,
           tries: int | None = TRIES) -> Image | None:
    """Change an image on behalf of the service, whatever other writers change meanwhile.

    :param change: returns the changes; None if the image must not be changed any more.
    :param known: the image as it was read; the first try does not read it again.
    :param status: as in ``ImageRecords.update``.
    :returns: the image as written; None if ``change`` returned None or the image is gone.
    :raises Conflict: another writer was faster each time.
    """
    known_images = [known] if known is not None else []

    def read() -> Image:
        return known_images.pop() if known_images else records.get(image_id, viewer=None)

    try:
        return retry(read, change, lambda image, changes: records.update(
            image, changes, status=status), tries=tries)
    except contract.NotFound:
        return None


def undo(records: contract.ImageRecords, before: Image, written: Image,
         names: Collection[str]) -> None:
    """Undo what was written of the fields ``names``, unless others have changed it since.

    :raises Conflict: another writer was faster each time.
    """
    update(records, written.id, lambda present: {
        name: getattr(before, name) for name in names
        if getattr(present, name) == getattr(written, name)} or None)
