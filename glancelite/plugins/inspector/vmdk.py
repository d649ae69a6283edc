"""Finds VMDKs that refer to other files in ways that the library does not check."""

from __future__ import annotations

import re

#: The descriptor of a VMDK with a header begins here.  Without a header it is the file.
DESCRIPTOR_OFFSET = 512
#: how hypervisors recognise a descriptor alone: blank lines and comments, then the version
_BEGINNING = re.compile(rb'(?:[ \t\r]*+\n|[ \t]*+#[^\n]*+\n)*+[ \t]*+version[ \t]*+=',
                        re.IGNORECASE)


def reference(head: bytes, declared: str | None) -> str:
    """Return how content refers to other files; '' if this is not a VMDK or does not.

    The descriptor is read as qemu reads it: up to the first zero byte, whatever size the
    header gives, with comments and with bytes that are not ASCII.

    :param head: all bytes that may belong to a descriptor.
    :param declared: the image's ``disk_format``.  A hypervisor that is told that a file is
        a VMDK reads any text as a descriptor.
    """
    if head.startswith(b'COWD'):
        return 'it is a delta disk (vmfsSparse), which needs another file'
    if not head.startswith(b'KDMV'):
        if declared != 'vmdk' and not _BEGINNING.match(head):
            return ''
        if b'createtype' in _text(head):
            return 'it is only a descriptor, and the data is in other files'
        return ''
    text = _text(head[DESCRIPTOR_OFFSET:])
    if b'parentfilenamehint' in text:
        return 'it needs a parent file ("parentFileNameHint")'
    if text.count(b'createtype') > 1:
        return 'its descriptor has more than one type ("createType")'
    return ''


def _text(descriptor: bytes) -> bytes:
    return descriptor.partition(b'\0')[0].lower()
