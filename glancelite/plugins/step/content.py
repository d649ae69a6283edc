"""Checks files with the rules for uploads, whatever inspectors the service has."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Callable
from typing import Any

from oslo_utils.imageutils import format_inspector as formats

from glancelite import contract

#: bytes at the beginning of a file in which every format is recognised
HEAD = (1 << 20) + 512
CHUNK = 1 << 20
#: formats with structures anywhere; of the others the beginning has all of them
SCATTERED = ('vmdk', 'vhdx')
#: what a raw disk may look like
RAW = frozenset({'raw', 'gpt', 'luks'})
#: the same for a disk in another format, which may have been made from a bootable disc
CONVERTED = RAW | {'iso'}
#: shorter data is recognised as if zeros followed, as hypervisors read it
SHORTEST = 1024


class Content:
    """Compares files with formats by the rules of ``[image_format]``.

    :param host: loads the inspector for formats, also if the service does not use it.
    """

    def __init__(self, host: contract.Host):
        self._inspector = host.load(contract.Inspector, 'format', 'image_format',
                                    {'require_image_format_match': True})

    def check(self, path: str, image: contract.Image, disk_format: str, *,
              converted: bool = False, watch: Callable[[], None] = lambda: None) -> None:
        """Check that a file has a format and is safe.

        :param converted: the file comes from a conversion.
        :raises WrongContent: it is something else, damaged or dangerous.
        """
        inspection = self._inspector.open(dataclasses.replace(
            image, disk_format=disk_format, container_format='bare'))
        if inspection is None:
            raise contract.Invalid(f"The format '{disk_format}' cannot be checked.")
        with contextlib.closing(inspection), open(path, 'rb') as file:
            head = file.read(HEAD)
            if disk_format == 'raw':
                _check_raw(head, converted)
            if head:
                inspection.feed(head)
            while disk_format in SCATTERED and (chunk := file.read(CHUNK)):
                watch()
                inspection.feed(chunk)
            inspection.finish()


def _check_raw(head: bytes, converted: bool) -> None:
    """Check that a raw disk is not an image of another format."""
    others = recognised(head) - (CONVERTED if converted else RAW)
    if not others:
        return
    names = "' and '".join(sorted(others))
    raise contract.WrongContent(
        f"The disk contains an image of the format '{names}'. Import that image by itself."
        if converted else
        f"The content is '{names}' and not 'raw'. Set disk_format to the format of the data, and "
        'import it again.')


def recognised(head: bytes) -> frozenset[str]:
    """Return the names of the formats that data looks like; ``raw`` for none."""
    wrapper: Any = formats.InspectWrapper(io.BytesIO(head.ljust(SHORTEST, b'\0')))
    try:
        while wrapper.read(CHUNK):
            pass
        wrapper.close()
        return frozenset(map(str, wrapper.formats))
    except Exception as error:      # hostile headers may cause any error
        raise contract.WrongContent('The content cannot be parsed. Check the file, or create it '
                                    'anew.') from error
