"""Programs that tests need, and how tests are skipped if one is missing."""

import glob
import os
import re
import shutil
import sys

import pytest

#: uWSGI with the Python of this process, whose libraries it uses
UWSGI = f'uwsgi_python3{sys.version_info.minor}'
#: the same for Apache
MOD_WSGI = f'/usr/lib/apache2/modules/mod_wsgi.so-3.{sys.version_info.minor}'
DEBIAN = {
    '/usr/lib/grub-rescue/grub-rescue-cdrom.iso': 'grub-rescue-pc',
    '/usr/lib/ipxe/ipxe.iso': 'ipxe',
    '/usr/lib/rabbitmq/bin/rabbitmq-server': 'rabbitmq-server',
    '/usr/lib/memtest86+/memtest86+x64.iso': 'memtest86+',
    'ceph': 'ceph-common',
    'ceph-authtool': 'ceph-common',
    'ceph-mgr': 'ceph-mgr',
    'ceph-mon': 'ceph-mon',
    'ceph-osd': 'ceph-osd',
    'bindfs': 'bindfs',
    'epmd': 'rabbitmq-server',
    'git': 'git',
    'gzip': 'gzip',
    'haproxy': 'haproxy',
    'logrotate': 'logrotate',
    'mariadb-install-db': 'mariadb-server',
    'mariadbd': 'mariadb-server',
    'monmaptool': 'ceph-base',
    'memcached': 'memcached',
    'nginx': 'nginx-light',
    'openssl': 'openssl',
    'postgres': 'postgresql',
    'qemu-img': 'qemu-utils',
    'radosgw': 'radosgw',
    'radosgw-admin': 'radosgw',
    'rbd': 'ceph-common',
    'systemd-analyze': 'systemd',
    'xz': 'xz-utils',
    'zstd': 'zstd',
    MOD_WSGI: 'libapache2-mod-wsgi-py3',
    'apache2': 'apache2-bin',
    UWSGI: 'uwsgi-plugin-python3',
}
"""Program, or absolute path of a file -> its Debian package."""

DIRECTORIES = '/usr/sbin', '/usr/local/sbin', '/sbin', '/usr/lib/postgresql/*/bin'
"""Directories of Debian with programs that are not on every PATH."""

REASON = re.compile(r'missing program: (?P<program>\S+) \(Debian package (?P<package>[^\s)]+)\)')


def find(program):
    """Path of an installed program, the newest version first; None if missing."""
    if os.path.isabs(program):
        return program if os.path.isfile(program) else None
    for directory in DIRECTORIES:
        for folder in sorted(glob.glob(directory), key=_version, reverse=True):
            path = os.path.join(folder, program)
            if os.access(path, os.X_OK):
                return path
    return shutil.which(program)


def require(program):
    """Path of a program; skips the running test if it is missing.

    The summary of the run lists it, with the number of tests that need it.
    With GLANCELITE_TESTS_REQUIRE=all the test fails instead.
    """
    package = DEBIAN[program]
    if path := find(program):
        return path
    reason = f'missing program: {program} (Debian package {package})'
    if os.environ.get('GLANCELITE_TESTS_REQUIRE') == 'all':
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def missing(reports):
    """Count the skipped tests per missing program and its package."""
    counted = {}
    for report in reports:
        if found := REASON.search(str(report.longrepr)):
            counted[found.groups()] = counted.get(found.groups(), 0) + 1
    return counted


def _version(path):
    return [int(part) for part in re.findall(r'\d+', path)]
