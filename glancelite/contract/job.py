"""What importers and steps see of the work that they take part in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from glancelite.contract.context import Context
from glancelite.contract.values import Image


class Job(Protocol):
    """One import, on its way from the request to the stores.

    The data is collected in the staging area.  It consists of parts; a part that was written
    is durable, and is found again by the process that continues the work after this one.

    Every method may raise ``Gone``: the image was deleted, the task was cancelled, or another
    process has taken it over.  Let it pass: everything is undone by the core.
    """

    @property
    def image(self) -> Image:
        """The image, with the changes of this job."""

    @property
    def ctx(self) -> Context:
        """The caller who requested it; without a token if another process accepted it."""

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What ``Importer.check`` returned."""

    @property
    def memory(self) -> Mapping[str, Any]:
        """What ``remember`` has recorded in this step, also in another process."""

    def remember(self, **values: object) -> None:
        """Record JSON-ready values, durably; values that were recorded before stay."""

    @property
    def staged_size(self) -> int:
        """Number of bytes of the staged data; those that ``append`` has added are durable."""

    def append(self, chunks: Iterable[bytes], *, total: int | None = None) -> None:
        """Append to the staged data, and report progress.

        If this fails, or the process dies, the parts that were complete stay.

        :param chunks: non-empty ``bytes``; its errors pass through unchanged.
        :param total: the number of bytes that the staged data is expected to have.
        :raises TooLarge: the data exceeds a limit or the capacity of the staging area.
        :raises Unavailable: the staging area does not answer.
        """

    def restart(self) -> None:
        """Discard the staged data."""

    def read(self) -> Iterator[bytes]:
        """Return the staged data; close the iterator.

        :raises Unavailable: the staging area does not answer.
        """

    def replace(self, chunks: Iterable[bytes], **changes: object) -> None:
        """Replace the staged data by other data, all or nothing; raises as ``append`` does.

        :param changes: attributes of the image that change with the data, as in ``change``.
        """

    def replace_by_file(self, path: str, **changes: object) -> None:
        """Replace the staged data by a file that was written under ``new_file``, as ``replace``.

        The file is taken over, and not copied if one store is to get the data.  Then the step
        is done when that store has it: if the process dies before, the step is run again, on
        the data and the attributes that the image had before.
        """

    def local_file(self) -> contextlib.AbstractContextManager[str]:
        """Return the path of a file with the staged data, for programs; it is read-only.

        :raises Unavailable: there is no space for it.
        """

    def new_file(self) -> contextlib.AbstractContextManager[str]:
        """Return a path where a program may write a file, which is removed at the end.

        It is in the working directory of jobs (``[task] work_dir``).
        """

    @property
    def size_limit(self) -> int | None:
        """Number of bytes that the image may have, by ``image_size_cap`` and the quota now."""

    def change(self, **fields: object) -> None:
        """Change attributes of the image: any of ``disk_format``, ``container_format``,
        ``virtual_size``, ``min_disk``, ``min_ram`` and ``properties`` (name -> text; those named
        are added or replaced).  Names of properties that begin with ``os_glance`` are refused.
        """

    def report(self, done: int, total: int | None = None) -> None:
        """Report progress of the step in bytes; may be called often."""

    def check(self) -> None:
        """Raise ``Gone`` if the work is to end; call it every second or so."""
