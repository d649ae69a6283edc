"""Parses JSON bodies, with limits on the memory that a body can cost."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from concurrent import futures
from typing import IO, Any

from glancelite import contract

#: default of ``max_json_size``: 128 properties of 64 KiB and 128 tags need 9 MiB
DEFAULT_SIZE = 10 << 20
#: a body of escapes only, such as ``\u00e9`` for two bytes, is three times as long
ESCAPED = 3
#: larger bodies are kept in a file while they arrive, and parsed in one thread: the C library
#: keeps freed memory for each thread
LARGE = 1 << 18
#: most arrays and objects inside each other
MAX_DEPTH = 64
#: most brackets, commas and strings; each may become a Python object.  An image with all
#: properties and tags has 1,000, an operation of a patch about 10.
MAX_TOKENS = 200_000

#: a string, or a character of the structure; the quantifiers are possessive because others
#: remember every step
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[][{},]', re.DOTALL)
#: escapes of characters that databases or UTF-8 cannot represent: NUL and surrogates
_UNSTORABLE_ESCAPE = re.compile(r'\\u(?:0000|[dD][89a-fA-F])')


class JSONParser:
    """Parses the bodies of one service.

    A body costs less than ten times ``max_size``: a text with one character beyond the
    basic plane has four bytes for each character, as a whole and again in its strings.

    :param max_size: in bytes; if the body is in ASCII, escapes count as the bytes that they
        stand for.
    """

    def __init__(self, max_size: int = DEFAULT_SIZE):
        self._max_size = max_size
        self._one_thread = futures.ThreadPoolExecutor(1, 'glancelite-json')

    def parse(self, chunks: Iterable[bytes], length: int | None) -> Any:
        """Parse a body.

        :param length: the announced length, if there is one.
        :raises Invalid: it is not JSON, or nested too deeply.
        :raises TooLarge: it is too long, or has too many elements.
        """
        if length is not None and length > ESCAPED * self._max_size:
            raise self._too_large()
        if length is not None and length <= min(LARGE, self._max_size):
            return _parse(b''.join(chunks))
        with tempfile.SpooledTemporaryFile(max_size=LARGE) as file:
            size = self._receive(chunks, file)
            file.seek(0)
            if size <= LARGE:
                return _parse(file.read())
            return self._one_thread.submit(lambda: _parse(file.read())).result()

    def _receive(self, chunks: Iterable[bytes], file: IO[bytes]) -> int:
        size = saved = 0
        is_ascii = True
        for chunk in map(bytes, chunks):
            size += len(chunk)
            is_ascii = is_ascii and chunk.isascii()
            saved += _saved_by_escapes(chunk) if is_ascii else 0
            counted = max(size - saved, size // ESCAPED) if is_ascii else size
            if counted > self._max_size:
                raise self._too_large()
            file.write(chunk)
        return size

    def _too_large(self) -> contract.TooLarge:
        return contract.TooLarge(f'The body is longer than {self._max_size} bytes, which is the '
                                 'maximum for JSON.')


def _saved_by_escapes(text: bytes) -> int:
    """Return by how much escapes are longer than what they count for.

    These are two bytes for ``\\uXXXX``, and one for ``\\n`` and the like.
    """
    escapes = text.count(b'\\') - text.count(rb'\\')
    return escapes + 3 * (text.count(rb'\u') - text.count(rb'\\u'))


def _parse(raw: bytes) -> Any:
    _check_structure(raw)
    try:
        text = raw.decode()
        del raw     # the memory is needed for the result
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise contract.Invalid('Malformed JSON in request body.') from None
    if _UNSTORABLE_ESCAPE.search(text) and not all(map(_is_storable, _strings(body))):
        raise contract.Invalid('The body contains a NUL character or a lone surrogate.')
    return body


def _check_structure(raw: bytes) -> None:
    """Count elements and levels before there is an object for each.

    :raises Invalid: there are too many levels.
    :raises TooLarge: there are too many elements.
    """
    if len(raw) <= MAX_TOKENS and raw.count(b'[') + raw.count(b'{') <= MAX_DEPTH:
        return      # like nearly all
    depth = 0
    for count, token in enumerate(_TOKEN.finditer(raw)):
        if count >= MAX_TOKENS:
            raise contract.TooLarge('The JSON body has too many elements.')
        first = raw[token.start()]
        if first in b'[{':
            depth += 1
            if depth > MAX_DEPTH:
                raise contract.Invalid(f'The JSON body has more than {MAX_DEPTH} levels of arrays '
                                       'and objects.')
        elif first in b']}':
            depth -= 1


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings in a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())


def _is_storable(text: str) -> bool:
    return not any(char == '\0' or '\ud800' <= char <= '\udfff' for char in text)
