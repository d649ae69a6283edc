"""Parses the ``Range`` and ``Content-Range`` headers of downloads."""

from __future__ import annotations

import re

from glancelite.contract import errors

_NUMBER = '[0-9]{1,99}'
_RANGE = re.compile(rf'bytes *= *(?:({_NUMBER}) *- *({_NUMBER})?|- *({_NUMBER}))', re.IGNORECASE)
_CONTENT_RANGE = re.compile(rf'bytes +({_NUMBER})-({_NUMBER})/(\*|{_NUMBER})', re.IGNORECASE)


def requested_range(range_header: str | None, content_range: str | None,
                    size: int) -> tuple[int, int] | None:
    """Return the part of an image that a request selects.

    :param range_header: value of ``Range``; it takes precedence.
    :param content_range: value of ``Content-Range`` in the request, which
        some old clients send instead.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes, or None for the whole image.
    :raises Invalid: more than one range.
    :raises RangeNotSatisfiable: the range is malformed, or not within the image.
    """
    if range_header is not None:
        return parse_range(range_header, size)
    if content_range is not None:
        return parse_content_range(content_range, size)
    return None


def parse_range(header: str, size: int) -> tuple[int, int]:
    """Parse a ``Range`` header.

    An end beyond the image is moved to its last byte.  A suffix that is longer than
    the image selects the whole image.

    :param header: the header's value, e.g. ``bytes=0-99`` or ``bytes=-100``.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes; the length is > 0.
    :raises Invalid: more than one range.
    :raises RangeNotSatisfiable: it is malformed, ends before it starts, or
        starts at or after ``size``.

    Source: RFC 9110, section 14.2; Image API v2, "Download binary image data".
    """
    if ',' in header:
        raise errors.Invalid('Only one range is supported in a request.')
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise _unsatisfiable('Range', header, size)
    first, last, suffix = match.groups()
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
    """Parse a ``Content-Range`` header of a request.

    :param header: the header's value: ``bytes 0-99/1000`` or ``bytes 0-99/*``.
    :param size: length of the image in bytes.
    :returns: ``(offset, length)`` in bytes; the length is > 0.
    :raises RangeNotSatisfiable: it is malformed, or is not within the image and the
        total in the header.
    """
    match = _CONTENT_RANGE.fullmatch(header.strip())
    if match is None:
        raise _unsatisfiable('Content-Range', header, size)
    first, last = int(match[1]), int(match[2])
    total = size if match[3] == '*' else int(match[3])
    if not first <= last < min(total, size):
        raise _unsatisfiable('Content-Range', header, size)
    return first, last + 1 - first


def _unsatisfiable(name: str, header: str, size: int) -> errors.RangeNotSatisfiable:
    return errors.RangeNotSatisfiable(
        f'{name} {header!r} is not within an image of {size} bytes.', size=size)
