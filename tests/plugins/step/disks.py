"""Disk images that qemu-img makes, and the content of a disk."""

import pathlib
import random
import subprocess

from tests.servers import programs

MIB = 1 << 20
#: disk_format -> arguments of qemu-img that make an image of it
MADE = {
    'raw': ('-O', 'raw'), 'qcow2': ('-O', 'qcow2'), 'vdi': ('-O', 'vdi'), 'vhdx': ('-O', 'vhdx'),
    'vmdk': ('-O', 'vmdk', '-o', 'subformat=streamOptimized'),
    'vhd': ('-O', 'vpc', '-o', 'subformat=dynamic,force_size=on'),
}


def qemu_img(*arguments):
    """Run qemu-img; returns its output."""
    return subprocess.run([programs.require('qemu-img'), *map(str, arguments)], check=True,
                          capture_output=True, text=True).stdout


def content(size=4 * MIB, seed=0):
    """The bytes of a disk: some random, some zero."""
    data = bytearray(size)
    source = random.Random(seed)
    for start in range(0, size, MIB):
        data[start:start + 100_000] = source.randbytes(100_000)
    return bytes(data)


def image(folder, disk_format, data, *options):
    """An image of a disk with this content."""
    raw, made = pathlib.Path(folder) / 'source.raw', pathlib.Path(folder) / f'made.{disk_format}'
    raw.write_bytes(data)
    qemu_img('convert', '-f', 'raw', *MADE[disk_format], *options, raw, made)
    return made.read_bytes()
