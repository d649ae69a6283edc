"""What is mounted where is read off the kernel's table."""

import pytest

from glancelite.plugins.store.file import mounts

TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:21 / /mnt rw - tmpfs none rw
24 23 0:44 / /mnt/images rw,relatime shared:7 master:1 - nfs4 server:/export rw,hard
25 23 0:45 / /mnt/two\040words rw - fuse.glusterfs gluster:/x rw
26 23 0:46 / /mnt/images rw - xfs /dev/vdb rw
27 23 0:47 / /mnt/old rw - nfs server:/old rw
""".lstrip()


@pytest.fixture
def table(tmp_path):
    file = tmp_path / 'mountinfo'
    file.write_text(TABLE)
    return str(file)


@pytest.mark.parametrize(('path', 'kind', 'local'), [
    ('/var/lib', 'ext4', True), ('/', 'ext4', True), ('/mnt', 'tmpfs', True),
    ('/mnt/images', 'xfs', True), ('/mnt/images/a', 'xfs', True),
    ('/mnt/imagesx', 'tmpfs', True), ('/mnt/two words/a', 'fuse.glusterfs', False),
    ('/mnt/old/images', 'nfs', False)])
def test_the_mount_that_covers_a_path_is_found(table, path, kind, local):
    found = mounts.of(path, table)

    assert (found.kind, found.local) == (kind, local)


@pytest.mark.parametrize('content', [None, '', 'nonsense\n'])
def test_what_cannot_be_read_is_nothing_to_rely_on(tmp_path, content):
    if content is not None:
        (tmp_path / 'mountinfo').write_text(content)

    found = mounts.of('/', str(tmp_path / 'mountinfo'))

    assert found == mounts.UNKNOWN
    assert not found.local


def test_it_knows_this_machine(tmp_path):
    assert mounts.of('/proc/self').kind == 'proc'
    assert mounts.of(str(tmp_path)).number
