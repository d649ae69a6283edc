"""Which bytes of an image a request asks for."""

from __future__ import annotations

import re

from glancelite.contract import errors

_NUMBER = '[0-9]{1,99}'
_RANGE = re.compile(rf'bytes *= *(?:({_NUMBER}) *- *({_NUMBER})?|- *({_NUMBER}))', re.IGNORECASE)
_CONTENT_RANGE = re.compile(rf'bytes +({_NUMBER})-({_NUMBER})/(\*|{_NUMBER})', re.IGNORECASE)


def wanted(range_header: str | None, content_range: str | None,
           size: int) -> tuple[int, int] | None:
    """The part of an image that a request asks for.

    :param range_header: value of ``Range``; it wins if both are there.
    :param content_range: value of ``Content-Range`` in the request, which
        some old clients send instead.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes, or None for the whole image.
    :raises Invalid: more than one range.
    :raises RangeNotSatisfiable: the range is malformed, or not in the image.
    """
    if range_header is not None:
        return parse_range(range_header, size)
    if content_range is not None:
        return parse_content_range(content_range, size)
    return None


def parse_range(header: str, size: int) -> tuple[int, int]:
    """The part of an image that a ``Range`` header asks for.

    An end beyond the image is moved to its last byte, and so is a suffix that
    is longer than the image.

    :param header: the header's value, e.g. ``bytes=0-99`` or ``bytes=-100``.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes; the length is > 0.
    :raises Invalid: more than one range.
    :raises RangeNotSatisfiable: it is malformed, ends before it starts, or
        starts at or after ``size``.

    Source: RFC 9110, section 14.2; Image API v2, "Download binary image data".
    """
    if ',' in header:
        raise errors.Invalid('Only one range can be asked for at a time.')
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        raise _unsatisfiable('Range', header, size)
    first, last, suffix = found.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        offset = size - length
    else:
        offset = int(first)
        length = (size if last is None else min(int(last) + 1, size)) - offset
    if length <= 0:
        raise _unsatisfiable('Range', header, size)
    return offset, length


def parse_content_range(header: str, size: int) -> tuple[int, int]:
    """The part of an image that a ``Content-Range`` header of a request asks for.

    :param header: the header's value: ``bytes 0-99/1000`` or ``bytes 0-99/*``.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes; the length is > 0.
    :raises RangeNotSatisfiable: it is malformed, or does not lie within the
        image and the total that it names.
    """
    found = _CONTENT_RANGE.fullmatch(header.strip())
    if found is None:
        raise _unsatisfiable('Content-Range', header, size)
    first, last = int(found[1]), int(found[2])
    total = size if found[3] == '*' else int(found[3])
    if not first <= last < min(total, size):
        raise _unsatisfiable('Content-Range', header, size)
    return first, last + 1 - first


def _unsatisfiable(name: str, header: str, size: int) -> errors.RangeNotSatisfiable:
    return errors.RangeNotSatisfiable(
        f'{name} {header!r} is not a part of an image of {size} bytes.', size=size)
