"""Hashes data while it is staged, so that it need not be hashed when it is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from glancelite.services.layers import Layers
from glancelite.services.stream import Digests


def keeps_data(layers: Layers) -> bool:
    """Return whether staged data is stored as it is: no step may replace it."""
    return not any(step.CHANGES_DATA for step in layers.steps)


class StagedHashes:
    """The hashes of data that comes in several sequences, of which each continues the last.

    What another process has staged is missing here: then there are no hashes.

    :param new: called when data begins.
    """

    def __init__(self, new: Callable[[], Digests]):
        self._new = new
        self._digests: Digests | None = None
        self._size = 0

    def watch(self, chunks: Iterator[bytes], start: int) -> Iterator[bytes]:
        """Yield the chunks, and hash them.

        :param start: the number of bytes before them.
        """
        if start == 0:
            self.close()
            self._digests, self._size = self._new(), 0
        elif self._size != start:
            self.close()
        digests = self._digests
        for chunk in chunks:
            if digests is not None:
                digests.feed(chunk)
                self._size += len(chunk)
            yield chunk

    def finish(self, size: int) -> Mapping[str, object] | None:
        """Return the facts as ``Digests`` has them; None if not all of the data was hashed.

        :param size: bytes of all data.
        """
        if self._digests is None or self._size != size:
            return None
        facts = self._digests.finish()
        self.close()
        return facts

    def close(self) -> None:
        if self._digests is not None:
            self._digests.close()
        self._digests, self._size = None, 0
