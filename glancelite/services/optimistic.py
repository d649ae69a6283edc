"""Changing an image on the service's own behalf, whatever others change of it meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from glancelite import contract
from glancelite.contract import Image

#: how often a change is applied anew to what somebody else has written meanwhile
TRIES = 8


def persist(records: contract.ImageRecords, image_id: str,
            change: Callable[[Image], Mapping[str, object] | None]) -> Image | None:
    """Write what ``change`` makes of the image; anew if somebody else was faster.

    :param change: returns None if the image is not its business any more.
    :returns: the image as written; None if it was not, because of that or since it is gone.
    :raises Conflict: somebody was faster each time.
    """
    for left in reversed(range(TRIES)):
        try:
            present = records.get(image_id, viewer=None)
            changes = change(present)
            return None if changes is None else records.update(present, changes)
        except contract.NotFound:
            return None
        except contract.Conflict:
            if not left:
                raise
    raise AssertionError('the last try has returned or raised')


def take_back(records: contract.ImageRecords, before: Image, written: Image,
              names: Collection[str]) -> None:
    """Undo what was written of the fields ``names``, but for what others have changed since.

    :raises Conflict: others keep changing the image.
    """
    persist(records, written.id, lambda present: {
        name: getattr(before, name) for name in names
        if getattr(present, name) == getattr(written, name)} or None)
