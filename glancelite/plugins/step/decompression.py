"""Unpacks compressed images: gzip, xz, zip and, with its library, zstd."""

from __future__ import annotations

import contextlib
import importlib
import lzma
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.step import archives, staged, streams

#: offset, name of the compression, and its bytes there
MAGIC = (
    (0, 'gzip', b'\x1f\x8b\x08'), (0, 'xz', b'\xfd7zXZ\0'), (0, 'zip', b'PK\3\4'),
    (0, 'zstd', b'\x28\xb5\x2f\xfd'),
    # pzstd begins with a frame that has the size of the next one
    (0, 'zstd', b'\x50\x2a\x4d\x18\4\0\0\0'),
    *((2, 'lha', b'-lh%d-' % method) for method in range(8)),
)
MAGIC_LENGTH = 16
#: libraries for zstd: that of Python 3.14, and the same for older versions
ZSTD = ('compression.zstd', 'backports.zstd')


class Decompression(contract.Step):
    """Replaces compressed data by what it contains, whatever its name.

    Data is recognised by its first bytes.  What comes out is not unpacked once more.
    """

    OPTS = (
        cfg.IntOpt('memory_limit', default=256, min=64, max=4096,
                   help='MiB of memory that the data of one image may need to be unpacked. '
                        'This limits the dictionary of xz and the window of zstd; the common '
                        'levels of both need less than 130 MiB.'),
    )

    def __init__(self, options: Any, host: contract.Host, **named: Any):
        super().__init__(options, host, **named)
        self._memory = options.memory_limit << 20
        self._zstd = _zstd()

    def run(self, job: contract.Job) -> None:
        if job.image.container_format == 'compressed':
            return
        if job.memory.get('unpacks') not in (None, staged.mark(job)):
            return      # a former attempt has replaced the data
        kind = recognised(staged.head(job, MAGIC_LENGTH))
        if kind is None:
            return
        job.remember(unpacks=staged.mark(job))
        check = staged.Check(job)
        with contextlib.ExitStack() as opened:
            if kind == 'zip':
                path = opened.enter_context(job.local_file())
                data = archives.zip_member(path, check)
            else:
                chunks = opened.enter_context(staged.reading(job))
                data = streams.unpacked(chunks, kind, self._decompressor(kind), check)
            job.replace(opened.enter_context(contextlib.closing(data)))

    def _decompressor(self, kind: str) -> Callable[[], Any]:
        """Return what makes a decompressor for one stream."""
        if kind == 'gzip':
            return streams.Gzip
        if kind == 'xz':
            return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=self._memory)
        if kind == 'zstd' and self._zstd is not None:
            window = {self._zstd.DecompressionParameter.window_log_max:
                      self._memory.bit_length() - 1}
            return lambda: self._zstd.ZstdDecompressor(options=window)
        raise contract.Invalid(
            f'The data is compressed with {kind}, which this service cannot unpack. Unpack it, '
            'or compress it with gzip, and import it again.')

    def health(self) -> str:
        return ('unpacks gzip, xz, zip and zstd' if self._zstd else
                'unpacks gzip, xz and zip; for zstd install glancelite[zstd]')


def recognised(head: bytes) -> str | None:
    """Return the name of the compression that data begins with."""
    return next((name for offset, name, magic in MAGIC if head.startswith(magic, offset)), None)


def _zstd() -> Any:
    """Import the library for zstd; None if it is not installed."""
    for name in ZSTD:
        with contextlib.suppress(ImportError):
            return importlib.import_module(name)
    return None
