"""Checks that content matches ``disk_format``, and is safe for hypervisors."""

from __future__ import annotations

import logging
from typing import Any

from oslo_config import cfg
from oslo_utils.imageutils import format_inspector as formats

from glancelite import contract

LOG = logging.getLogger(__name__)

#: Bytes at the beginning in which every format can be detected.  Nearly all files have all
#: required structures there; the descriptor of VMDK is the last.
HEAD_SIZE = (1 << 20) + 512
#: The library gets the rest in pieces of this size.  It follows one reference within a
#: piece, but not a second one from there; VHDX has such structures 64 KiB apart.
PIECE_SIZE = 1 << 16
#: Largest virtual size that the database and hypervisors support.
MAX_VIRTUAL_SIZE = (1 << 63) - 1
#: Kernels and ramdisks may have a boot signature without partitions.
BOOT_FORMATS = ('aki', 'ari')


class FormatInspector(contract.Inspector):
    """Compares the content of bare images with their format while it is uploaded.

    Wrong or dangerous content is refused as soon as it is detected.
    """

    SECTION = 'image_format'
    OPTS = (
        cfg.BoolOpt('require_image_format_match', default=True,
                    help='Refuse content that does not match the disk_format of its image, or '
                         'that cannot be parsed; otherwise only log a warning. Dangerous '
                         'content is always refused.'),
        cfg.ListOpt('vmdk_allowed_types', default=['streamOptimized', 'monolithicSparse'],
                    help='Types ("createType") of VMDK images that are accepted. Types other '
                         'than these two may refer to other files and are never accepted.'),
        cfg.ListOpt('gpt_safety_checks_nonfatal', default=[],
                    help='Safety checks, such as "mbr", that are ignored for content with a '
                         'partition table.'),
    )

    def open(self, image: contract.Image, *,
             ctx: contract.Context | None = None) -> FormatInspection | None:
        if image.container_format != 'bare':
            return None
        return FormatInspection(
            image.disk_format, strict=self.options.require_image_format_match,
            vmdk_types=frozenset(map(str.lower, self.options.vmdk_allowed_types)),
            ignored_gpt_checks=frozenset(self.options.gpt_safety_checks_nonfatal))


class FormatInspection(contract.Inspection):
    """Inspects one upload; the result has ``virtual_size``.

    The result does not depend on the sizes of chunks: the inspectors of the library get
    the first ``HEAD_SIZE`` bytes at once, and the rest in pieces of ``PIECE_SIZE``.

    :param declared: the image's ``disk_format``.
    :param strict: refuse content that does not match.
    :param vmdk_types: allowed types of VMDK, in lower case.
    :param ignored_gpt_checks: names of checks that are ignored for partition tables.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, declared: str | None, *, strict: bool, vmdk_types: frozenset[str],
                 ignored_gpt_checks: frozenset[str]):
        self._declared = declared
        self._strict = strict
        self._vmdk_types = vmdk_types
        self._ignored_gpt_checks = ignored_gpt_checks
        self._size = 0
        self._head: list[bytes] = []
        self._content: _Content | None = None
        self._decided = False
        self._virtual_size: int | None = None

    def feed(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._decided:
            return
        chunk = bytes(chunk)
        if self._content is None:
            self._head.append(chunk)
            if self._size < HEAD_SIZE:
                return
            self._content = self._detect()
        else:
            self._content.feed(chunk)
        if self._content.complete:
            self._decide(self._content)

    def _detect(self) -> _Content:
        data = b''.join(self._head)
        self._head = []
        content = _Content(data[:HEAD_SIZE])
        if not content.complete:
            content.feed(data[HEAD_SIZE:])
        return content

    def finish(self) -> dict[str, object]:
        content = self._content or self._detect()
        if not self._decided:
            content.finish()
            self._decide(content)
        size = self._virtual_size
        if size is _NUMBER_OF_BYTES:
            size = self._size
        elif size is not None and content.name == 'luks':
            size += self._size - content.inspector.actual_size
        return {'virtual_size': size} if size and size > 0 else {}

    # the table of the Image API

    def _decide(self, content: _Content) -> None:
        self._decided = True
        if (content.name == 'gpt' and self._declared in BOOT_FORMATS
                and 'mbr' in content.failed_checks()):
            content.treat_as_raw()
        try:
            self._virtual_size = self._compare(content)
        except _Mismatch as mismatch:
            if self._strict:
                raise contract.WrongContent(f'{mismatch}.') from None
            LOG.warning('%s; accepted, but the virtual size stays unknown', mismatch)
        self._check_safety(content)

    def _compare(self, content: _Content) -> int | None:
        """Return the virtual size.

        :raises _Mismatch: the content is not what was declared.
        """
        if content.problem:
            raise _Mismatch(f'The content cannot be parsed: {content.problem}')
        if content.name == self._declared:
            return self._matching_size(content)
        if content.name == 'raw' and self._declared not in formats.ALL_FORMATS:
            return None
        if self._declared == 'raw':
            LOG.warning('an image is declared as raw but is %s; it is treated as raw',
                        content.name)
            return _NUMBER_OF_BYTES
        raise _Mismatch(f"The content is '{content.name}' and not '{self._declared}'")

    def _matching_size(self, content: _Content) -> int:
        if content.name == 'raw':
            return _NUMBER_OF_BYTES
        try:
            size: int = content.inspector.virtual_size
        except Exception as error:  # hostile headers may cause any error
            raise _Mismatch(f'The virtual size cannot be parsed: {error}') from None
        if size > MAX_VIRTUAL_SIZE:
            raise _Mismatch('The content declares an impossible virtual size')
        return size

    def _check_safety(self, content: _Content) -> None:
        """Refuse dangerous content, whatever was declared."""
        failed = content.failed_checks()
        if content.vmdk_type is not None and content.vmdk_type not in self._vmdk_types:
            failed = failed | {'descriptor'}
        if content.name == 'gpt':
            failed = failed - self._ignored_gpt_checks
        if failed:
            raise contract.WrongContent(
                f"The '{content.name}' content is not safe: {', '.join(sorted(failed))}.",
                checks=sorted(failed))


class _Mismatch(Exception):
    """The content is not what was declared."""


#: a virtual size that is the number of bytes of the upload
_NUMBER_OF_BYTES = -1


class _Content:
    """Content of one format, as detected from its beginning ``head``.

    :ivar name: name of the format.
    :ivar inspector: the inspector of the library for this format; None for ``raw``.
    :ivar problem: why the content cannot be parsed; '' if it can.
    """

    def __init__(self, head: bytes):
        self.problem = ''
        matches: dict[str, Any] = {}
        for name, kind in formats.ALL_FORMATS.items():
            if name == 'raw':
                continue
            inspector = kind()
            problem = _feed(inspector, head)
            if _matches(inspector):
                matches[name] = inspector
                self.problem = self.problem or problem
        if matches.keys() == {'iso', 'gpt'}:  # bootable from a disc and from a disk
            del matches['gpt']
        if len(matches) > 1:
            self.problem = f'it looks like {" and ".join(sorted(matches))}'
        self.name: str
        self.inspector: Any
        self.name, self.inspector = next(iter(matches.items()), ('raw', None))
        self._matches = matches.values()
        self._failed_checks: frozenset[str] | None = None
        self._end = bytearray()
        self._pending = bytearray()

    def treat_as_raw(self) -> None:
        self.name, self.inspector = 'raw', None
        self._failed_checks = frozenset()

    @property
    def complete(self) -> bool:
        """Whether further bytes cannot change the result."""
        return self.inspector is None or bool(self.problem) or bool(self.inspector.complete)

    def feed(self, chunk: bytes) -> None:
        if self._needs_end_only():
            self._keep_end(chunk)
            return
        self._pending += chunk
        start, end = 0, len(self._pending)
        while end - start >= PIECE_SIZE and not (self.complete or self._needs_end_only()):
            self.problem = _feed(self.inspector, bytes(self._pending[start:start + PIECE_SIZE]))
            start += PIECE_SIZE
        self._pending = self._pending[start:]
        if not self.complete and self._needs_end_only():
            self._keep_end(self._pending)
            self._pending = bytearray()

    def _keep_end(self, chunk: bytes | bytearray) -> None:
        """Keep the last bytes; this is faster than the inspector."""
        self._end = (self._end + chunk[-_END_SIZE:])[-_END_SIZE:]

    def _needs_end_only(self) -> bool:
        regions = map(self.inspector.region, self.inspector.context_info)
        return all(region.complete or isinstance(region, formats.EndCaptureRegion)
                   for region in regions)

    def finish(self) -> None:
        if self.inspector is None or self.problem:
            return
        if self._end or self._pending:
            self.problem = _feed(self.inspector, bytes(self._end or self._pending))
        self.inspector.finish()
        if not self.inspector.complete:
            self.problem = 'it is truncated'

    @property
    def vmdk_type(self) -> str | None:
        """The type of a VMDK in lower case; None for other formats."""
        if self.name != 'vmdk':
            return None
        if not self.inspector.has_region('header'):
            return ''  # a descriptor alone can only refer to other files
        return str(getattr(self.inspector, 'vmdktype', ''))

    def failed_checks(self) -> frozenset[str]:
        """Return the names of the safety checks that the content fails."""
        if self._failed_checks is None:
            self._failed_checks = self._run_checks()
        return self._failed_checks

    def _run_checks(self) -> frozenset[str]:
        failed: set[str] = set()
        for inspector in self._matches:
            try:
                inspector.safety_check()
            except formats.SafetyCheckFailed as error:
                failed.update(error.failures)
            except formats.ImageFormatError:
                # truncated: harmless, but a VMDK may still refer to other files
                if inspector.NAME == 'vmdk':
                    failed.add('descriptor')
        return frozenset(failed)


#: at least as many bytes as any inspector needs from the end of a file
_END_SIZE = 4096


def _feed(inspector: Any, chunk: bytes) -> str:
    """Pass bytes to an inspector; return its error as text, '' if there is none."""
    try:
        inspector.eat_chunk(chunk)
    except Exception as error:  # hostile files may cause any error
        return str(error) or type(error).__name__
    return ''


def _matches(inspector: Any) -> bool:
    try:
        return bool(inspector.format_match)
    except Exception as error:  # hostile files may cause any error; it is not this format
        LOG.debug('%s failed to detect its format: %s', inspector, error)
        return False
