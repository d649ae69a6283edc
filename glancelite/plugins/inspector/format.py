"""Is the content what ``disk_format`` says, and is it safe to hand to a hypervisor?"""

from __future__ import annotations

import logging

from oslo_config import cfg
from oslo_utils.imageutils import format_inspector as formats

from glancelite import contract

LOG = logging.getLogger(__name__)

#: Bytes at the beginning within which every format shows itself, and in which all
#: but a few odd files have everything we need: the descriptor of VMDK is the last.
HEAD = (1 << 20) + 512
#: What follows is shown in pieces of this size: the library finds in a piece what one
#: part of it points to, but not what that points to in turn, and VHDX keeps such parts
#: 64 KiB apart.
PIECE = 1 << 16
#: Largest disk that the database and the hypervisors can speak of.
LARGEST = (1 << 63) - 1
#: Kernels and ramdisks may carry a boot signature by nature, without partitions.
BOOT_FILES = ('aki', 'ari')


class FormatInspector(contract.Inspector):
    """Compares the content of bare images with their format, in stream.

    Wrong or dangerous content is refused as soon as the beginning shows it.
    """

    SECTION = 'image_format'
    OPTS = (
        cfg.BoolOpt('require_image_format_match', default=True,
                    help='Refuse content that is not of the disk_format of its image, or that '
                         'cannot be understood; otherwise only warn. Dangerous content is '
                         'refused either way.'),
        cfg.ListOpt('vmdk_allowed_types', default=['streamOptimized', 'monolithicSparse'],
                    help='Kinds ("createType") of VMDK images that are accepted. Kinds other '
                         'than these two may refer to other files and are never accepted.'),
        cfg.ListOpt('gpt_safety_checks_nonfatal', default=[],
                    help='Safety checks, such as "mbr", that content with a partition table '
                         'may fail.'),
    )

    def open(self, image, *, ctx=None):
        if image.container_format != 'bare':
            return None
        return FormatTap(image.disk_format,
                         strict=self.options.require_image_format_match,
                         vmdk_types=frozenset(map(str.lower, self.options.vmdk_allowed_types)),
                         gpt_nonfatal=frozenset(self.options.gpt_safety_checks_nonfatal))


class FormatTap(contract.Inspection):
    """Looks at one upload; fact: ``virtual_size``.

    The verdict does not depend on how the bytes are cut into chunks: the
    beginning is gathered and shown to the inspectors in one piece, the rest in ``PIECE``s.

    :param declared: the image's ``disk_format``.
    :param strict: refuse what does not match.
    :param vmdk_types: allowed kinds of VMDK, in lower case.
    :param gpt_nonfatal: names of checks that partition tables may fail.
    """

    ACCEPTS_MEMORYVIEW = True

    def __init__(self, declared: str, *, strict: bool, vmdk_types: frozenset[str],
                 gpt_nonfatal: frozenset[str]):
        self._declared = declared
        self._strict = strict
        self._vmdk_types = vmdk_types
        self._gpt_nonfatal = gpt_nonfatal
        self._size = 0
        self._head: list[bytes] | None = []
        self._found: _Found | None = None
        self._judged = False
        self._virtual_size: int | None = None

    def feed(self, chunk):
        self._size += len(chunk)
        if self._judged:
            return
        chunk = bytes(chunk)
        if self._head is not None:
            self._head.append(chunk)
            if self._size >= HEAD:
                self._look()
        elif self._found is not None:
            self._found.feed(chunk)
        if self._found is not None and self._found.complete:
            self._judge()

    def _look(self):
        """Show the beginning to the inspectors; afterwards the format is known."""
        data = b''.join(self._head)
        self._head = None
        self._found = _Found(data[:HEAD])
        if not self._found.complete:
            self._found.feed(data[HEAD:])

    def finish(self):
        if self._head is not None:
            self._look()
        if not self._judged:
            self._found.finish()
            self._judge()
        size = self._virtual_size
        if size is _BYTES:
            size = self._size
        elif size is not None and self._found.name == 'luks':
            size += self._size - self._found.inspector.actual_size
        return {'virtual_size': size} if size and size > 0 else {}

    # the table of the Image API

    def _judge(self):
        self._judged = True
        found = self._found
        if found.name == 'gpt' and self._declared in BOOT_FILES and 'mbr' in found.failures():
            found.treat_as_raw()
        try:
            self._virtual_size = self._compare(found)
        except _Mismatch as mismatch:
            if self._strict:
                raise contract.WrongContent(f'{mismatch}.') from None
            LOG.warning('%s; accepted, but the virtual size stays unknown', mismatch)
        self._check(found)

    def _compare(self, found):
        """The virtual size; raises ``_Mismatch``."""
        if found.problem:
            raise _Mismatch(f'The content cannot be understood: {found.problem}')
        if found.name == self._declared:
            if found.name == 'raw':
                return _BYTES
            try:
                size = found.inspector.virtual_size
            except Exception as error:  # hostile headers may break the parser in any way
                raise _Mismatch(f'The virtual size cannot be understood: {error}') from None
            if size > LARGEST:
                raise _Mismatch('The content claims a disk of impossible size')
            return size
        if found.name == 'raw' and self._declared not in formats.ALL_FORMATS:
            return None
        if self._declared == 'raw':
            LOG.warning('an image is declared as raw but is %s; it is treated as raw', found.name)
            return _BYTES
        raise _Mismatch(f"The content is '{found.name}' and not '{self._declared}'")

    def _check(self, found):
        """Refuse what is dangerous, whatever it was declared as."""
        failures = found.failures()
        if found.vmdk_type is not None and found.vmdk_type not in self._vmdk_types:
            failures = failures | {'descriptor'}
        if found.name == 'gpt':
            failures = failures - self._gpt_nonfatal
        if failures:
            raise contract.WrongContent(
                f"The '{found.name}' content is not safe: {', '.join(sorted(failures))}.",
                checks=sorted(failures))


class _Mismatch(Exception):
    """The content is not what was declared."""


#: stands for a virtual size that is the number of bytes
_BYTES = -1


class _Found:
    """What kind of content begins with ``head``, and what is still to be seen of it."""

    def __init__(self, head: bytes):
        self.problem = ''
        matches = {}
        for name, kind in formats.ALL_FORMATS.items():
            if name == 'raw':
                continue
            inspector = kind()
            problem = _eat(inspector, head)
            if _matches(inspector):
                matches[name] = inspector
                self.problem = self.problem or problem
        if matches.keys() == {'iso', 'gpt'}:  # what boots from a disc and from a disk
            del matches['gpt']
        if len(matches) > 1:
            self.problem = f'it looks like {" and ".join(sorted(matches))}'
        self.name, self.inspector = next(iter(matches.items()), ('raw', None))
        self._matches = matches.values()
        self._failures: frozenset[str] | None = None
        self._end = bytearray()
        self._waiting = bytearray()

    def treat_as_raw(self):
        self.name, self.inspector = 'raw', None
        self._failures = frozenset()

    @property
    def complete(self) -> bool:
        """Whether nothing that follows could change the verdict."""
        return self.inspector is None or bool(self.problem) or self.inspector.complete

    def feed(self, chunk):
        if not self._wants_end_only():
            self._waiting += chunk
            at, end = 0, len(self._waiting)
            while end - at >= PIECE and not (self.complete or self._wants_end_only()):
                self.problem = _eat(self.inspector, bytes(self._waiting[at:at + PIECE]))
                at += PIECE
            chunk = self._waiting = self._waiting[at:]
            if self.complete or not self._wants_end_only():
                return
            self._waiting = bytearray()
        # only the last bytes count: keep them here, where it costs little
        self._end = (self._end + chunk[-_END:])[-_END:]

    def _wants_end_only(self):
        regions = map(self.inspector.region, self.inspector.context_info)
        return all(region.complete or isinstance(region, formats.EndCaptureRegion)
                   for region in regions)

    def finish(self):
        if self.inspector is None or self.problem:
            return
        if self._end or self._waiting:
            self.problem = _eat(self.inspector, bytes(self._end or self._waiting))
        self.inspector.finish()
        if not self.inspector.complete:
            self.problem = 'it is cut off'

    @property
    def vmdk_type(self):
        """The kind of a VMDK in lower case; None if it is no VMDK."""
        if self.name != 'vmdk':
            return None
        if not self.inspector.has_region('header'):
            return ''  # a descriptor alone: all it can do is to name other files
        return getattr(self.inspector, 'vmdktype', '')

    def failures(self) -> frozenset[str]:
        """Names of the safety checks that the content fails."""
        if self._failures is None:
            self._failures = self._run_checks()
        return self._failures

    def _run_checks(self):
        failures = set()
        for inspector in self._matches:
            try:
                inspector.safety_check()
            except formats.SafetyCheckFailed as failed:
                failures.update(failed.failures)
            except formats.ImageFormatError:
                # cut off: nobody can use it, but with VMDK nobody knows what it refers to
                if inspector.NAME == 'vmdk':
                    failures.add('descriptor')
        return frozenset(failures)


#: bytes at the end of a file that any inspector asks for, and some more
_END = 4096


def _eat(inspector, chunk) -> str:
    """Show bytes to an inspector; returns what it stumbled over."""
    try:
        inspector.eat_chunk(chunk)
    except Exception as error:  # hostile files may break the parser in any way
        return str(error) or type(error).__name__
    return ''


def _matches(inspector) -> bool:
    try:
        return inspector.format_match
    except Exception as error:  # as above; a parser that fails has not recognised anything
        LOG.debug('%s cannot say whether it matches: %s', inspector, error)
        return False
