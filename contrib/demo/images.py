"""Bootable images from Debian packages."""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess

INSTALLER = 'usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64'

SOURCES = {
    'memtest86+': ('iso', 'memtest86+', 'usr/lib/memtest86+/memtest86+x64.iso'),
    'grub-rescue': ('iso', 'grub-rescue-pc', 'usr/lib/grub-rescue/grub-rescue-cdrom.iso'),
    'ipxe': ('iso', 'ipxe', 'usr/lib/ipxe/ipxe.iso'),
    'debian-kernel': ('aki', 'debian-installer-12-netboot-amd64', f'{INSTALLER}/linux'),
    'debian-initrd': ('ari', 'debian-installer-12-netboot-amd64', f'{INSTALLER}/initrd.gz'),
}
"""Name of an image -> disk format, Debian package, path in the package."""


class Unavailable(Exception):
    """A file that the demo needs is missing; the text says what to do."""


@dataclasses.dataclass(frozen=True)
class File:
    """An image file on the local disk."""

    name: str
    disk_format: str
    path: pathlib.Path

    @property
    def container_format(self):
        return self.disk_format if self.disk_format in ('aki', 'ari') else 'bare'

    @property
    def size(self):
        return self.path.stat().st_size

    def digest(self, algorithm):
        with self.path.open('rb') as source:
            return hashlib.file_digest(source, algorithm).hexdigest()


def collect(folder):
    """Return all images, by name.

    Packages that are not installed are downloaded, which needs no root, and are kept
    in the user's cache.

    :param folder: for images that are not in a package.
    """
    files = {name: File(name, disk_format, _locate(package, path))
             for name, (disk_format, package, path) in SOURCES.items()}
    files['memtest86+ disk'] = _qcow2(files['memtest86+'], folder / 'memtest.qcow2')
    return files


def _locate(package, path):
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    unpacked = cache / 'glancelite-demo' / package
    for root in pathlib.Path('/'), unpacked:
        if (root / path).is_file():
            return root / path
    _download(package, unpacked)
    return unpacked / path


def _download(package, folder):
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(['apt-get', 'download', '-qq', package], cwd=folder, check=True,
                       capture_output=True)
        archive = next(folder.glob('*.deb'))
        subprocess.run(['dpkg', '-x', archive, folder], check=True)
        archive.unlink()
    except (OSError, subprocess.CalledProcessError, StopIteration) as error:
        raise Unavailable(f'The Debian package {package} cannot be downloaded ({error}); '
                          'try: apt-get update, or: make services') from None


def _qcow2(source, target):
    if not shutil.which('qemu-img'):
        raise Unavailable('qemu-img is missing; try: make services, or: '
                          'apt-get install qemu-utils')
    subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c',
                    source.path, target], check=True)
    return File('memtest86+ disk', 'qcow2', target)
