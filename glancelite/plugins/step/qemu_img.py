"""Describes and converts disk images with ``qemu-img``."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
import signal
from collections.abc import Callable
from typing import Any

from glancelite import contract
from glancelite.plugins.step import program

LOG = logging.getLogger(__name__)

#: disk_format -> the name that qemu has for it
FORMATS = {'raw': 'raw', 'qcow2': 'qcow2', 'vmdk': 'vmdk', 'vdi': 'vdi', 'vhd': 'vpc',
           'vhdx': 'vhdx'}
#: formats that may name a backing file
WITH_BACKING = ('qcow2', 'vmdk')
_PERCENT = re.compile(rb'\((\d+\.\d+)/100%\)')
#: texts of qemu-img -> what they mean
_NO_SPACE = 'No space left on device'
_NO_MEMORY = ('Cannot allocate memory', 'failed to allocate', 'could not create thread',
              'Resource temporarily unavailable')
_TOO_LARGE = 'File too large'


@dataclasses.dataclass(frozen=True)
class Info:
    """What ``qemu-img`` finds in the header of an image."""

    virtual_size: int
    #: the other file that the image needs, in words; '' for none
    needs: str
    encrypted: bool


class QemuImg:
    """Runs ``qemu-img`` with limits.

    :param memory: bytes of address space that it may use.
    :param cpu_time: seconds of CPU time that it may use.
    """

    def __init__(self, memory: int, cpu_time: int):
        self._limits = program.Limits(memory, cpu_time)

    def version(self) -> str:
        """Return the version.

        :raises Unavailable: the program is missing on this node, or does not work.
        """
        ended = program.run(['qemu-img', '--version'], self._limits, lambda: None)
        if ended.status:
            raise contract.Unavailable('qemu-img does not work on this node.')
        return ended.out.decode(errors='replace').partition('\n')[0].partition(' (')[0]

    def info(self, path: str, disk_format: str, watch: Callable[[], None]) -> Info:
        """Return what the header of a file in this format says.

        :raises WrongContent: the file is damaged, or needs more than the limits allow.
        """
        ended = program.run(
            ['qemu-img', 'info', '--output=json', source(path, disk_format)], self._limits, watch)
        if ended.status:
            raise self._failure(ended)
        try:
            return _info(json.loads(ended.out))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise contract.WrongContent('The header of the image cannot be read. Create the '
                                        'image anew.') from error

    def convert(self, path: str, disk_format: str, target: str, output_format: str, *,
                size_limit: int | None, watch: Callable[[], None],
                report: Callable[[float], None]) -> None:
        """Write a file in another format.

        :param size_limit: bytes that the new file may have.
        :param watch: is called once a second; if it raises, the conversion ends.
        :param report: gets the part that is done, from 0 to 1.
        :raises QuotaExceeded: the new file would be too large.
        :raises Unavailable: there is no space for it.
        :raises WrongContent: the file is damaged, or needs more than the limits allow.
        """
        def progress(output: bytes) -> None:
            if found := _PERCENT.findall(output):
                report(float(found[-1]) / 100)

        ended = program.run(
            ['qemu-img', 'convert', '-p', '-O', FORMATS[output_format],
             source(path, disk_format), target],
            dataclasses.replace(self._limits, file_size=size_limit), watch, progress)
        if ended.status:
            raise self._failure(ended)

    def _failure(self, ended: program.Ended) -> contract.Error:
        LOG.warning('qemu-img failed with %d: %s', ended.status, ended.err)
        if ended.signal == signal.SIGXFSZ or _TOO_LARGE in ended.err:
            return contract.QuotaExceeded('The image is larger than allowed after its conversion.')
        if _NO_SPACE in ended.err:
            return contract.Unavailable('There is no space to convert the image.')
        if ended.signal == signal.SIGKILL:      # such as by the kernel, when it has no memory
            return contract.Unavailable('The conversion was stopped on this node.')
        if ended.signal == signal.SIGXCPU:
            return contract.WrongContent('The conversion takes longer than allowed. '
                                         'Convert the image yourself, and import it again.')
        if ended.signal or any(text in ended.err for text in _NO_MEMORY):
            return contract.WrongContent('The conversion needs more memory than allowed. '
                                         'Convert the image yourself, and import it again.')
        return contract.WrongContent(
            f'The image cannot be converted{_reason(ended.err)}. Check it with "qemu-img check", '
            'and import it again.')


def source(path: str, disk_format: str) -> str:
    """Return how a file is named to qemu.

    So named, the format is never guessed, the name is never taken for an address, and a
    backing file is not opened.  Files are not locked, which some shares refuse.
    """
    named: dict[str, Any] = {
        'driver': FORMATS[disk_format], 'read-only': True,
        'file': {'driver': 'file', 'filename': path, 'locking': 'off'}}
    if disk_format in WITH_BACKING:
        named['backing'] = None
    return 'json:' + json.dumps(named)


def _info(found: dict[str, Any]) -> Info:
    specific = found.get('format-specific', {}).get('data', {})
    needs = ''
    if found.get('backing-filename') or found.get('full-backing-filename'):
        needs = 'a backing file'
    elif specific.get('data-file'):
        needs = 'a data file'
    elif len(specific.get('extents', ())) > 1:
        needs = 'several files'
    return Info(int(found['virtual-size']), needs, bool(found.get('encrypted')))


def _reason(err: str) -> str:
    """What qemu-img said, without names of files; '' if there is nothing to show."""
    line = next((line for line in reversed(err.splitlines()) if 'qemu-img: ' in line), '')
    text = re.sub(r"'(?:json:.*\}|/[^']*)'", 'the file', line.partition('qemu-img: ')[2])
    text = text.strip().rstrip('.')
    return f': {text}' if text and '/' not in text and len(text) < 300 else ''
