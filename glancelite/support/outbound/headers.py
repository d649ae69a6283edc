"""What the headers of a response say about its body."""

from __future__ import annotations

import re
from collections.abc import Mapping

_CONTENT_RANGE = re.compile(r'bytes\s+(?:(\d+)-(\d+)|\*)/(\d+|\*)\Z', re.ASCII)


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Return whether the body is encoded, such as compressed."""
    return headers.get('content-encoding', '').strip().lower() not in ('', 'identity')


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the body, or None if it is unknown."""
    text = headers.get('content-length', '').strip()
    if 'transfer-encoding' in headers or not (text.isascii() and text.isdecimal()):
        return None
    return int(text)


def content_range(headers: Mapping[str, str]) -> tuple[int | None, int | None, int | None]:
    """Return the first byte, the last byte and the total size; None for what is unknown."""
    header = _CONTENT_RANGE.match(headers.get('content-range', '').strip())
    if not header:
        return None, None, None
    first, last, size = (int(text) if text and text != '*' else None for text in header.groups())
    return first, last, size
