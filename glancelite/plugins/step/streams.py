"""Unpacks a stream of compressed data piece by piece, in little memory."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

from glancelite import contract

#: bytes that are passed to a decompressor at once: a file of many tiny streams is copied
#: once per stream, so a piece is short
PIECE = 1 << 16
#: most bytes that are unpacked at once
CHUNK = 1 << 20


class Gzip:
    """One stream of gzip, with the methods of ``lzma.LZMADecompressor``."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, most)


def unpacked(chunks: Iterator[bytes], kind: str, make: Callable[[], Any],
             check: Callable[[], None]) -> Generator[bytes, None, None]:
    """Yield what the streams contain; several in a row are one.

    :param kind: name of the compression, for messages.
    :param make: makes a decompressor with the methods of ``lzma.LZMADecompressor``.
    :param check: is called for each piece, also if it yields nothing.
    :raises WrongContent: the data is damaged, incomplete or followed by other bytes.
    :raises Invalid: unpacking needs more memory than allowed.
    """
    stream, complete = make(), 0
    for piece in _pieces(chunks):
        check()
        data = piece
        while True:
            if stream.eof:
                data = data.lstrip(b'\0')       # tapes and xz pad with zeros
                if not data:
                    break
                stream = make()
            out = _decompress(stream, data, kind, complete)
            if out:
                yield out
            if stream.eof:
                complete += 1
                data = stream.unused_data
            elif stream.needs_input and len(out) < CHUNK:   # zlib may hold more in a full chunk
                break
            else:
                data = b''
    if not stream.eof:
        raise contract.WrongContent(f'The {kind} data is incomplete: its end is missing. '
                                    'Import the whole file.')


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        view = memoryview(chunk)
        for start in range(0, len(view), PIECE):
            yield bytes(view[start:start + PIECE])


def _decompress(stream: Any, data: bytes, kind: str, complete: int) -> bytes:
    try:
        return bytes(stream.decompress(data, CHUNK))
    except Exception as error:      # each library has errors of its own
        text = str(error)
        if 'emory' in text:         # the texts of lzma and of zstd
            raise contract.Invalid(
                f'Unpacking the {kind} data needs more memory than the service allows. '
                'Compress the image with a lower level, and import it again.') from error
        if complete:
            raise contract.WrongContent(
                f'The {kind} data is followed by bytes that do not belong to it, or is damaged. '
                'Compress the image anew, and import it again.') from error
        raise contract.WrongContent(
            f'The {kind} data is damaged. Check the file (such as with "{kind} -t"), and import '
            'it again.') from error
