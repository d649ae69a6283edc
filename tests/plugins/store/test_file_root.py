"""The store ``file`` does not mistake an empty mount point for its data directory."""

import os
import shutil

import pytest

from glancelite import contract
from glancelite.plugins.store.file import mounts, root
from glancelite.plugins.store.file.mounts import Mount

#: keys as the core makes them
OLD = 'ed1f2a6b-9a6c-4c38-8f0e-0a2f5c1d7b11'
NEW = 'c5b0d6f3-51f5-43d6-8a55-3d9a1f0c7e22.2'


@pytest.fixture
def images(tmp_path):
    """A data directory with an image of an earlier process."""
    images = tmp_path / 'images'
    images.mkdir()
    (images / OLD).write_bytes(b'12345')
    return images


def url(images, key=OLD):
    return f'file://{images}/{key}'


def asks(store, images):
    """The calls that need the data at a location."""
    return [lambda ask=ask: ask(url(images)) for ask in (store.read, store.size, store.delete)]


def test_a_missing_file_in_a_living_directory_is_missing(make_store, images):
    store = make_store(datadir=str(images))

    for ask in (store.read, store.size, store.delete):
        with pytest.raises(contract.NotFound):
            ask(url(images, 'other'))
    assert store.discard('other') is None


def test_an_empty_directory_at_the_start_proves_nothing(make_store, images):
    away = images.rename(f'{images}.away')
    images.mkdir()
    store = make_store(datadir=str(images))

    for ask in asks(store, images):
        with pytest.raises(contract.Unavailable):
            ask()
    assert store.discard(OLD) is None     # nothing was ever written here

    images.rmdir()
    away.rename(images)
    assert store.size(url(images)) == 5


@pytest.mark.parametrize('name', ['.keep', 'lost+found', 'files of others', f'copy of {OLD}'])
@pytest.mark.parametrize('when', ['before the start', 'after the start'])
def test_a_mount_point_without_images_proves_nothing_with(make_store, images, name, when):
    if when == 'after the start':
        store = make_store(datadir=str(images))
    images.rename(f'{images}.away')
    images.mkdir()
    (images / name).mkdir()
    if when == 'before the start':
        store = make_store(datadir=str(images))

    for ask in asks(store, images):
        with pytest.raises(contract.Unavailable):
            ask()


def test_a_missing_directory_at_the_start_proves_nothing(make_store, images, caplog):
    caplog.set_level('INFO', 'glancelite')
    shutil.rmtree(images)
    store = make_store(datadir=str(images))

    for ask in asks(store, images):
        with pytest.raises(contract.Unavailable):
            ask()

    assert f'created the directory {images}' in caplog.text


def test_a_directory_that_another_process_has_emptied_is_in_use(make_store, images):
    shutil.rmtree(images)
    one, other = make_store(datadir=str(images)), make_store(datadir=str(images))
    new = other.write(NEW, iter([b'1'])).url
    other.delete(new)
    os.utime(images, ns=(1, 1))     # a time of change that differs for certain

    with pytest.raises(contract.NotFound):
        one.delete(new)


def test_the_last_image_can_be_deleted_twice(make_store, images):
    store = make_store(datadir=str(images))

    store.delete(url(images))

    with pytest.raises(contract.NotFound):
        store.delete(url(images))


def test_another_directory_with_images_is_used(make_store, images):
    """A share that was mounted again, possibly from another server."""
    store = make_store(datadir=str(images))
    images.rename(f'{images}.away')
    images.mkdir()
    (images / NEW).write_bytes(b'123')

    assert store.size(url(images, NEW)) == 3
    with pytest.raises(contract.NotFound):
        store.size(url(images))


def test_the_other_directory_takes_uploads_while_one_is_away(make_store, tmp_path):
    a, b = tmp_path / 'a', tmp_path / 'b'
    store = make_store(datadirs=[f'{a}:2', f'{b}:1'])
    store.write('one', iter([b'1']))
    a.rename(f'{a}.away')
    a.mkdir()

    assert store.write('two', iter([b'1'])).url == url(b, 'two')
    with pytest.raises(contract.Unavailable, match='cannot be used now'):
        store.delete(url(a, 'one'))
    with pytest.raises(contract.Unavailable):
        store.health()


def test_a_mount_point_in_which_others_write_proves_nothing(make_store, images):
    shutil.rmtree(images)
    images.mkdir()
    store = make_store(datadir=str(images))
    (images / 'theirs').touch()
    os.utime(images, ns=(1, 1))     # a time of change that differs for certain

    for ask in asks(store, images):
        with pytest.raises(contract.Unavailable):
            ask()


@pytest.mark.parametrize('key', [OLD, OLD.upper(), NEW])
def test_a_directory_of_glance_is_known_by_its_images(make_store, tmp_path, key):
    (tmp_path / 'README').touch()
    (tmp_path / key).touch()

    with pytest.raises(contract.NotFound):
        make_store(datadir=str(tmp_path)).size(url(tmp_path, 'other'))


@pytest.mark.parametrize('content', [(), (OLD,)], ids=['empty', 'with files'])
def test_a_directory_whose_mount_has_ended_is_away(make_store, images, monkeypatch, caplog,
                                                   content):
    """Also if somebody has written into the mount point."""
    at = {'mount': Mount(7, 'ext4', str(images))}
    monkeypatch.setattr(mounts, 'find_mount', lambda path: at['mount'])
    store = make_store(datadir=str(images))
    images.rename(f'{images}.away')
    images.mkdir()
    for name in content:
        (images / name).touch()
    at['mount'] = Mount(1, 'ext4', '')

    missing = url(images, 'other')
    for ask in (lambda: store.read(missing), lambda: store.delete(missing),
                lambda: store.discard('other'), lambda: store.write(NEW, iter([b'1']))):
        with pytest.raises(contract.Unavailable):
            ask()

    assert f'nothing is mounted on {images} any more' in caplog.text


def test_a_link_that_leads_to_another_disk_is_followed(make_store, tmp_path, monkeypatch):
    old, new = tmp_path / 'old', tmp_path / 'new'
    old.mkdir()
    new.mkdir()
    (old / OLD).touch()
    (new / OLD).write_bytes(b'12345')
    (tmp_path / 'images').symlink_to('old')
    monkeypatch.setattr(mounts, 'find_mount', lambda path: Mount(
        7, 'ext4', path if path == str(old) else ''))
    store = make_store(datadir=f'{tmp_path}/images')
    (tmp_path / 'images').unlink()
    (tmp_path / 'images').symlink_to('new')

    with pytest.raises(contract.NotFound):
        store.size(f'file://{tmp_path}/images/other')
    assert store.size(f'file://{tmp_path}/images/{OLD}') == 5


def test_an_empty_directory_in_the_place_of_an_unused_one_takes_no_uploads(make_store, tmp_path):
    """Another process may have used it."""
    images = tmp_path / 'images'
    store = make_store(datadir=str(images))
    images.rename(f'{images}.away')
    images.mkdir()

    with pytest.raises(contract.Unavailable):
        store.write('key', iter([b'1']))
    assert list(images.iterdir()) == []


def test_an_empty_share_that_was_mounted_after_the_start_is_used(make_store, images, monkeypatch):
    at = {'mount': Mount(1, 'ext4', '')}
    monkeypatch.setattr(mounts, 'find_mount', lambda path: at['mount'])
    store = make_store(datadir=str(images))
    images.rename(f'{images}.hidden')
    images.mkdir()
    at['mount'] = Mount(7, 'nfs4', str(images))

    with pytest.raises(contract.Unavailable):
        store.delete(url(images))
    written = store.write(NEW, iter([b'1'])).url
    store.delete(written)
    with pytest.raises(contract.NotFound):
        store.delete(written)


def test_an_unreadable_table_of_mounts_says_nothing(tmp_path, monkeypatch):
    (tmp_path / OLD).touch()
    monkeypatch.setattr(mounts, 'find_mount', lambda path: mounts.UNKNOWN)

    assert root.Root(str(tmp_path)).check_missing() is None
