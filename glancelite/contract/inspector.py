"""The layer ``inspector``: what kind of bytes are these?"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin
from glancelite.contract.values import Image


class Tap(abc.ABC):
    """Sees the bytes of one upload on their way into a store."""

    #: ``feed`` takes read-only ``memoryview`` as well, which spares a copy
    BUFFERS: ClassVar[bool] = False

    @abc.abstractmethod
    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes; whatever is raised stops the upload.

        :param chunk: ``bytes``; where ``BUFFERS`` says so, perhaps a ``memoryview`` of bytes,
            which does not change while anything refers to it.
        """

    def finish(self) -> Mapping[str, object]:
        """The verdict, while the store can still be told to forget everything.

        :returns: fields of ``Image`` that are known now.
        :raises WrongContent: the bytes are not what the image claims.
        :raises Invalid: they are not what somebody has vouched for.
        """
        return {}

    def close(self) -> None:  # noqa: B027  many have nothing to close
        """Let go of resources; called once, also after a failure."""


class Inspector(Plugin):
    """Looks into the content of images; all inspectors must be content."""

    LAYER = 'inspector'

    @abc.abstractmethod
    def open(self, image: Image, *, ctx: Context | None = None) -> Tap | None:
        """A tap for one upload; None if this image is of no interest.

        :param ctx: whose upload it is.
        :raises Invalid: what the image says of itself cannot be right, whatever the bytes are.
        """
