"""The layer ``inspector``: examines the content of uploads."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image

#: fields of ``Image`` that an inspector may set -> the largest value
FACTS: Mapping[str, int] = MappingProxyType({
    'virtual_size': (1 << 63) - 1, 'min_disk': (1 << 31) - 1, 'min_ram': (1 << 31) - 1})


class Inspection(abc.ABC):
    """One examination of one upload.  It sees all bytes on their way into a store.

    Its memory does not grow with the image.  How the data is cut into chunks does not
    matter, and neither do other inspections at the same time.
    """

    #: True if ``feed`` accepts a read-only ``memoryview`` in place of ``bytes``, which
    #: saves a copy
    ACCEPTS_MEMORYVIEW: ClassVar[bool] = False

    @abc.abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Examine the next bytes; any exception stops the upload.

        :param chunk: ``bytes``, or possibly a ``memoryview`` of bytes if
            ``ACCEPTS_MEMORYVIEW`` is set.  A view does not change while it is referenced.
        """

    def finish(self) -> Mapping[str, object]:
        """Return the result, while the store can still discard the data.

        Data of any kind gets a result or ``WrongContent``, here or from ``feed``; no data at
        all is accepted as ``raw``.  It may end anywhere, such as in the header of its format.

        :returns: fields of ``Image`` that are now known: ``virtual_size`` in bytes,
            ``min_disk`` in GiB, ``min_ram`` in MiB.  The core accepts no others, and only
            whole numbers that are not negative.
        :raises WrongContent: the content does not match the image's formats.
        :raises Invalid: the content does not match its signature.
        """
        return {}

    def close(self) -> None:  # noqa: B027  many have nothing to close
        """Release resources; called once, at any time, also after a failure."""


class Inspector(Plugin):
    """Examines the content of images.  All configured inspectors must accept it."""

    LAYER = 'inspector'

    @abc.abstractmethod
    def open(self, image: Image, *, ctx: Context | None = None) -> Inspection | None:
        """Start the inspection of one upload.

        :param ctx: the caller who uploads.
        :returns: None if this inspector does not examine the image.
        :raises Invalid: attributes of the image are wrong whatever its content is.
        """
