"""The file system of a path is found in the table of mounts."""

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


@pytest.mark.parametrize(('path', 'fs_type', 'local'), [
    ('/var/lib', 'ext4', True), ('/', 'ext4', True), ('/mnt', 'tmpfs', True),
    ('/mnt/images', 'xfs', True), ('/mnt/images/a', 'xfs', True),
    ('/mnt/imagesx', 'tmpfs', True), ('/mnt/two words/a', 'fuse.glusterfs', False),
    ('/mnt/old/images', 'nfs', False)])
def test_the_mount_that_contains_a_path_is_found(table, path, fs_type, local):
    mount = mounts.find_mount(path, table)

    assert (mount.fs_type, mount.is_local) == (fs_type, local)


@pytest.mark.parametrize('content', [None, '', 'nonsense\n'])
def test_an_unreadable_table_makes_the_mount_unknown(tmp_path, content):
    if content is not None:
        (tmp_path / 'mountinfo').write_text(content)

    mount = mounts.find_mount('/', str(tmp_path / 'mountinfo'))

    assert mount == mounts.UNKNOWN
    assert not mount.is_local


def test_the_table_of_this_machine_is_read(tmp_path):
    assert mounts.find_mount('/proc/self').fs_type == 'proc'
    assert mounts.find_mount(str(tmp_path)).mount_id
