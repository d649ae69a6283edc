"""Converts imported disk images to the format that the operator chose."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from glancelite import contract
from glancelite.plugins.step import staged
from glancelite.plugins.step.content import Content
from glancelite.plugins.step.qemu_img import FORMATS, QemuImg

MIB = 1 << 20
#: formats of data that is not a disk, or not one of a machine: it stays as it is
KEPT_FORMATS = ('iso', 'aki', 'ari', 'ami')
#: containers whose data is an archive and not a disk
KEPT_CONTAINERS = ('compressed', 'docker', 'ova')


class Conversion(contract.Step):
    """Converts disks with qemu-img; the content of the disk is the same.

    Before and after, files must be what they are said to be, and safe.
    """

    SECTION = 'image_conversion'
    OPTS = (
        cfg.StrOpt('output_format', default='raw', choices=('qcow2', 'raw', 'vmdk'),
                   help='Format that the step conversion converts imported disks to.'),
        cfg.IntOpt('memory_limit', default=2048, min=128,
                   help='MiB of address space that qemu-img may use.'),
        cfg.IntOpt('cpu_time', default=3600, min=1,
                   help='Seconds of CPU time that qemu-img may use for one image.'),
        cfg.IntOpt('reserved_space', default=1024, min=0,
                   help='A conversion waits, and ends if it has begun, while fewer MiB than this '
                        'are free on the file system with the files of conversions.'),
    )

    def __init__(self, options: Any, host: contract.Host, **named: Any):
        super().__init__(options, host, **named)
        self._output = str(options.output_format)
        self._qemu = QemuImg(options.memory_limit * MIB, options.cpu_time)
        self._content = Content(host)

    def health(self) -> str:
        return f'{self._qemu.version()}, output format {self._output}'

    def run(self, job: contract.Job) -> None:
        image = job.image
        if image.container_format in KEPT_CONTAINERS:
            return
        with job.local_file() as path:
            self._run(job, image, path)

    def _run(self, job: contract.Job, image: contract.Image, path: str) -> None:
        declared = image.disk_format or ''
        check = staged.Check(job)
        if declared in KEPT_FORMATS:
            self._content.check(path, image, declared)
            return
        if declared not in FORMATS:
            raise contract.Invalid(
                f"The format '{declared}' cannot be converted to '{self._output}'. Convert the "
                f"data, set disk_format to '{self._output}', and import it again.")
        self._content.check(path, image, declared, watch=check)
        virtual_size = self._virtual_size(job, path, declared)
        if declared == self._output:
            job.change(virtual_size=virtual_size)
            return
        if self._output == 'raw':
            _check_size(job, virtual_size)
        with job.new_file() as target:
            self._convert(job, path, declared, target, virtual_size)
            self._content.check(target, image, self._output, converted=True, watch=check)
            job.replace_by_file(target, disk_format=self._output, container_format='bare',
                                virtual_size=self._virtual_size(job, target, self._output))

    def _virtual_size(self, job: contract.Job, path: str, disk_format: str) -> int:
        """Return the size of the disk, if it is one that can be converted."""
        info = self._qemu.info(path, disk_format, job.check)
        if info.needs:
            raise contract.WrongContent(f'The image needs {info.needs}. Convert it to one file, '
                                        'and import it again.')
        if info.encrypted:
            raise contract.WrongContent('The image is encrypted, and cannot be converted without '
                                        'its key. Decrypt it, and import it again.')
        return info.virtual_size

    def _convert(self, job: contract.Job, path: str, declared: str, target: str,
                 virtual_size: int) -> None:
        watch = self._watch(job, target)
        self._qemu.convert(
            path, declared, target, self._output, size_limit=job.size_limit, watch=watch,
            report=lambda part: job.report(int(part * virtual_size), virtual_size))
        watch()

    def _watch(self, job: contract.Job, target: str) -> Callable[[], None]:
        """Return what ends a conversion that exceeds a limit, or is not needed any more."""
        folder = os.path.dirname(target)

        def watch() -> None:
            job.check()
            try:
                free = os.statvfs(folder)
            except OSError as error:
                raise contract.Unavailable('The working directory is gone.') from error
            if free.f_bavail * free.f_frsize < self.options.reserved_space * MIB:
                raise contract.Unavailable('There is no space to convert the image.')
            with contextlib.suppress(FileNotFoundError):
                _check_size(job, os.path.getsize(target))
        return watch


def _check_size(job: contract.Job, size: int) -> None:
    limit = job.size_limit
    if limit is not None and size > limit:
        raise contract.QuotaExceeded(f'The converted image has {size} bytes or more, and {limit} '
                                     'are allowed.')
