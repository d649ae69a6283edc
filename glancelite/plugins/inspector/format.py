"""Checks that content matches ``disk_format``, and is safe for hypervisors."""

from __future__ import annotations

import logging
from typing import Any

from oslo_config import cfg
from oslo_utils.imageutils import format_inspector as formats

from glancelite import contract
from glancelite.plugins.inspector import explanations, vmdk

LOG = logging.getLogger(__name__)

#: Bytes at the beginning in which every format can be detected.  Nearly all files have all
#: required structures there; the descriptor of VMDK is the last.
HEAD_SIZE = (1 << 20) + 512
#: The library gets the structures of nearly all formats from so many bytes.  Shorter content
#: is inspected as if zeros followed, because this is how hypervisors read it.
SHORTEST = 1024
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
        content = _Content(data[:HEAD_SIZE], self._declared)
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
        self._check_safety(content)
        try:
            self._virtual_size = self._compare(content)
        except _Mismatch as mismatch:
            if self._strict:
                raise contract.WrongContent(str(mismatch)) from None
            LOG.warning('%s (accepted, but the virtual size stays unknown)', mismatch)

    def _compare(self, content: _Content) -> int | None:
        """Return the virtual size.

        :raises _Mismatch: the content is not what was declared.
        """
        if content.problem:
            raise _Mismatch(f"The '{content.name}' content cannot be parsed: {content.problem}. "
                            'Check the file, or create it anew.')
        if content.name == self._declared:
            return self._matching_size(content)
        if content.name == 'raw' and self._declared not in formats.ALL_FORMATS:
            return None
        if self._declared == 'raw':
            LOG.warning('an image is declared as raw but is %s; it is treated as raw',
                        content.name)
            return _NUMBER_OF_BYTES
        raise _Mismatch(explanations.not_as_declared(content.name, self._declared))

    def _matching_size(self, content: _Content) -> int:
        if content.name == 'raw':
            return _NUMBER_OF_BYTES
        try:
            size: int = content.inspector.virtual_size
        except Exception as error:  # hostile headers may cause any error
            raise _Mismatch(f"The virtual size in the '{content.name}' header cannot be parsed: "
                            f'{error}. Check the file, or create it anew.') from None
        if size > MAX_VIRTUAL_SIZE:
            raise _Mismatch(f"The '{content.name}' header has the virtual size {size}, and "
                            f'{MAX_VIRTUAL_SIZE} is the most. Create the file anew.')
        return size

    def _check_safety(self, content: _Content) -> None:
        """Refuse dangerous content, whatever was declared."""
        failed = dict(content.failed_checks())
        if content.vmdk_type is not None and content.vmdk_type not in self._vmdk_types:
            failed.setdefault('descriptor', (
                f'Its type "{content.vmdk_type}" is not one of those that the service accepts: '
                f'{", ".join(sorted(self._vmdk_types)) or "none"}.'))
        if content.name == 'gpt':
            failed = {check: text for check, text in failed.items()
                      if check not in self._ignored_gpt_checks}
        if failed:
            raise contract.WrongContent(
                f'The content is not safe (format {content.name}, '
                f'check {", ".join(sorted(failed))}). '
                + ' '.join(failed[check] for check in sorted(failed)), checks=sorted(failed))


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

    def __init__(self, head: bytes, declared: str | None):
        self.problem = ''
        matches: dict[str, Any] = {}
        for name, kind in formats.ALL_FORMATS.items():
            if name == 'raw':
                continue
            inspector = kind()
            problem = _feed(inspector, head)
            if len(head) < SHORTEST and name != 'vmdk' and not inspector.complete:
                problem = _feed(inspector, bytes(SHORTEST - len(head))) or _TRUNCATED
            if _matches(inspector):
                matches[name] = inspector
                self.problem = self.problem or problem
        if matches.keys() == {'iso', 'gpt'}:  # bootable from a disc and from a disk
            del matches['gpt']
        if len(matches) > 1:
            self.problem = f'it looks like {" and ".join(sorted(matches))}'
        self._reference = vmdk.reference(head, declared)
        if self._reference and not matches:
            matches['vmdk'] = None
            self.problem = self._reference
        self.name: str
        self.inspector: Any
        self.name, self.inspector = next(iter(matches.items()), ('raw', None))
        self._matches = [each for each in matches.values() if each is not None]
        self._head = head[:SHORTEST]
        self._failed_checks: dict[str, str] | None = None
        self._end = bytearray()
        self._pending = bytearray()

    def treat_as_raw(self) -> None:
        self.name, self.inspector = 'raw', None
        self._failed_checks = {}

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
            self.problem = _TRUNCATED

    @property
    def vmdk_type(self) -> str | None:
        """The type of a VMDK in lower case; None for other formats."""
        if self.name != 'vmdk' or self.inspector is None:
            return None
        if not self.inspector.has_region('header'):
            return ''  # a descriptor alone can only refer to other files
        return str(getattr(self.inspector, 'vmdktype', ''))

    def failed_checks(self) -> dict[str, str]:
        """Return the names of the safety checks that the content fails, with explanations."""
        if self._failed_checks is None:
            self._failed_checks = self._run_checks()
        return self._failed_checks

    def _run_checks(self) -> dict[str, str]:
        failed: dict[str, str] = {}
        for inspector in self._matches:
            for check, reason in _failures(inspector).items():
                failed[check] = explanations.explain(inspector.NAME, check, reason, self._head)
        if self._reference:
            failed['descriptor'] = explanations.explain('vmdk', 'descriptor', self._reference,
                                                        self._head)
        return failed


#: why content that ends too early cannot be parsed
_TRUNCATED = 'it is truncated'
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


def _failures(inspector: Any) -> dict[str, str]:
    """Return the names of the safety checks that fail, with what the library says."""
    try:
        inspector.safety_check()
    except formats.SafetyCheckFailed as error:
        return {check: str(failure) for check, failure in error.failures.items()}
    except formats.ImageFormatError:
        # truncated: harmless, but a VMDK may still refer to other files
        if inspector.NAME == 'vmdk':
            return {'descriptor': 'its descriptor cannot be read'}
    return {}
