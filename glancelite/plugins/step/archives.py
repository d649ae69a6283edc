"""Unpacks a ZIP archive with one member, in little memory."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator

from glancelite import contract

#: bytes that are unpacked at once
CHUNK = 1 << 19
#: more bytes than the table of an archive with one member has, and than a chunk needs
LARGEST_READ = 1 << 20
#: the compressions of a ZIP that are unpacked in bounded memory by Python's module
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
#: bit of a member's flags
ENCRYPTED = 1
#: what Python's module raises for damaged files
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError,
           RuntimeError, ValueError, OverflowError)


class _File(io.FileIO):
    """A file that is read in small pieces only: the table of a hostile ZIP may be of any size."""

    def read(self, size: int | None = -1, /) -> bytes:
        most = LARGEST_READ + 1 if size is None or size < 0 else size
        data = super().read(most) if most <= LARGEST_READ + 1 else None
        if data is None or len(data) > LARGEST_READ:
            raise _not_one()
        return data


def zip_member(path: str, check: Callable[[], None]) -> Generator[bytes, None, None]:
    """Yield the data of the only member.

    :param check: is called for each piece.
    :raises WrongContent: the archive is damaged, or does not have exactly one member.
    :raises Invalid: the member is encrypted, or compressed in an uncommon way.
    """
    with contextlib.ExitStack() as opened:
        with _translated_errors():
            archive = opened.enter_context(
                zipfile.ZipFile(opened.enter_context(_File(path))))
            data = opened.enter_context(archive.open(_only_member(archive)))
        while True:
            check()
            with _translated_errors():
                chunk = data.read(CHUNK)
            if not chunk:
                return
            yield chunk


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1 or members[0].is_dir():
        raise _not_one()
    if members[0].flag_bits & ENCRYPTED:
        raise contract.Invalid('The ZIP archive is encrypted. Import it without a password.')
    if members[0].compress_type not in ZIP_METHODS:
        raise contract.Invalid('The ZIP archive is compressed in a way that is not supported. '
                               'Use "deflate", which is the default of most programs.')
    return members[0]


@contextlib.contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        raise contract.WrongContent('The ZIP archive is damaged or incomplete. Check the file '
                                    '(with "unzip -t"), and import it again.') from error
    except OSError as error:
        raise contract.Unavailable('The staged data cannot be read: '
                                   f'{os.strerror(error.errno or 0)}.') from error


def _not_one() -> contract.WrongContent:
    return contract.WrongContent('The ZIP archive does not have exactly one file. Make an archive '
                                 'of the image alone, and import it.')
