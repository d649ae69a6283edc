"""The store ``file`` fulfils the contract, with the layout and options of Glance."""

import errno
import json
import os
import pathlib
import shutil
import stat
import tempfile

import pytest

from glancelite import contract
from glancelite.plugins.store.file import FileStore, options, partial_file
from glancelite.plugins.store.file import store as file_module
from glancelite.testing.contracts.store import LargeImageContract, StoreContract
from glancelite.testing.contracts.store.failures import MissingRootContract, TwoStoresContract

MIB = 1 << 20


@pytest.fixture
def store(make_store):
    return make_store()


def names(path):
    return sorted(entry.name for entry in path.iterdir())


class FileContract(StoreContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store()

    def leftovers(self, store):
        roots = store.properties()['data_dir']
        return [name for root in ([roots] if isinstance(roots, str) else roots)
                for name in os.listdir(root)]


class TestFileStore(FileContract):
    """With default options."""


class TestThinFileStore(FileContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(thin=True, chunk_size=4096)


class TestFileStoreWithPermissions(FileContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(file_perm=640, chunk_size=1000)


class TestFileStoreWithoutLinks(FileContract):
    """On a file system without hard links."""

    @pytest.fixture
    def store(self, make_store, monkeypatch):
        def link(*paths):
            raise OSError(errno.EPERM, 'no links')
        monkeypatch.setattr(os, 'link', link)
        return make_store()


class TestFileStoreWithTimeout(FileContract):
    """All calls are made on other threads."""

    @pytest.fixture
    def store(self, make_store):
        return make_store(timeout=30)


class TestMovedDirectory(MissingRootContract):

    @pytest.fixture
    def store(self, make_store, tmp_path):
        return make_store(datadir=f'{tmp_path}/images')

    def take_root_away(self, store):
        root = store.options.filesystem_store_datadir
        os.rename(root, f'{root}.away')

    def bring_root_back(self, store):
        root = store.options.filesystem_store_datadir
        os.rename(f'{root}.away', root)


class TestEmptyMountPoint(TestMovedDirectory):
    """An empty directory is what a share leaves that is not mounted any more."""

    def take_root_away(self, store):
        super().take_root_away(store)
        os.mkdir(store.options.filesystem_store_datadir)

    def bring_root_back(self, store):
        os.rmdir(store.options.filesystem_store_datadir)
        super().bring_root_back(store)


class TestMovedDirectoryWithTimeout(TestMovedDirectory):

    @pytest.fixture
    def store(self, make_store, tmp_path):
        return make_store(datadir=f'{tmp_path}/images', timeout=30)


class TestTwoFileStores(TwoStoresContract):

    @pytest.fixture
    def store(self, make_plugin, tmp_path):
        return make_plugin(FileStore, name='one', filesystem_store_datadir=f'{tmp_path}/one')

    @pytest.fixture
    def other(self, make_plugin, tmp_path):
        return make_plugin(FileStore, name='other', filesystem_store_timeout=30,
                           filesystem_store_datadirs=[f'{tmp_path}/one/within', f'{tmp_path}/x'])


class TestLargeImages(LargeImageContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(thin=True)


# --- layout and options

def test_the_layout_is_that_of_glance(store, tmp_path):
    written = store.write('key', iter([b'12345']))

    assert written == contract.WriteResult(f'file://{tmp_path}/key', 5)
    assert (tmp_path / 'key').read_bytes() == b'12345'


def test_images_of_glance_are_read(store, tmp_path):
    (tmp_path / 'old').write_bytes(b'12345')

    for scheme in ('file', 'filesystem'):
        assert b''.join(store.read(f'{scheme}://{tmp_path}/old', offset=1)) == b'2345'


def test_read_returns_an_extent_for_sendfile(store):
    url = store.write('key', iter([b'12345'])).url

    part = store.read(url, offset=1, length=3)

    assert isinstance(part, contract.FileExtent)
    assert (part.offset, part.length) == (1, 3)
    assert os.pread(part.file.fileno(), part.length, part.offset) == b'234'
    part.close()


def test_the_default_directory_is_that_of_glance(make_plugin, monkeypatch, tmp_path):
    monkeypatch.setattr(options, 'DEFAULT_DATADIR', str(tmp_path / 'default'))

    store = make_plugin(FileStore)

    assert store.properties() == {'data_dir': str(tmp_path / 'default'), 'chunk_size': 65536,
                                  'thin_provisioning': False}
    assert (tmp_path / 'default').is_dir()


@pytest.mark.parametrize(('digits', 'mode', 'directory'), [
    (640, 0o640, 0o710), (644, 0o644, 0o711), (400, 0o400, 0o700), (0, 0o640, 0o700)])
def test_permissions_are_octal_digits(make_store, tmp_path, digits, mode, directory):
    root = tmp_path / 'images'
    root.mkdir(mode=0o700)
    before = os.umask(0o027)

    try:
        store = make_store(datadir=str(root), file_perm=digits)
        store.write('key', iter([b'1']))
    finally:
        os.umask(before)

    assert stat.S_IMODE((root / 'key').stat().st_mode) == mode
    assert stat.S_IMODE(root.stat().st_mode) == directory


def test_chunks_have_the_configured_size(make_store):
    store = make_store(chunk_size=1000)
    url = store.write('key', iter([b'x' * 2500])).url

    assert [len(chunk) for chunk in store.read(url)] == [1000, 1000, 500]


def test_small_pieces_are_collected_before_they_are_written(make_store, monkeypatch):
    store = make_store(chunk_size=1000)
    writes = []
    write = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: writes.append(len(data)) or write(fd, data))

    store.write('key', iter([b'x' * 100] * 25 + [b'y' * 5000]))

    assert writes == [1000, 1000, 5500]


def test_a_short_write_is_continued(make_store, monkeypatch):
    store = make_store()
    write = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: write(fd, data[:30_000]))
    data = os.urandom(200_000)

    assert b''.join(store.read(store.write('key', iter([data])).url)) == data


@pytest.mark.parametrize('cut', [1000, 4096, 10_000, 1 << 20])
def test_chunks_of_zeros_occupy_no_space(make_store, tmp_path, cut):
    store = make_store(thin=True, chunk_size=4096)
    data = b'a' + bytes(MIB) + b'b' + bytes(MIB)

    url = store.write('key', (data[at:at + cut] for at in range(0, len(data), cut))).url

    assert b''.join(store.read(url)) == data
    assert (tmp_path / 'key').stat().st_blocks * 512 <= 5 * 4096


def test_without_thin_provisioning_zeros_are_written(store, tmp_path):
    store.write('key', iter([bytes(MIB)]))

    assert (tmp_path / 'key').stat().st_blocks * 512 >= MIB


@pytest.mark.parametrize('content', [
    {'id': 'share', 'mountpoint': '{root}'},
    [{'id': 'no', 'mountpoint': '{root}x'}, {'id': 'no', 'mountpoint': '{root}/k'},
     {'id': 'share', 'mountpoint': '{root}'}]])
def test_the_mountpoint_of_an_image_is_its_metadata(make_store, tmp_path, content):
    root = tmp_path / 'images'
    described = tmp_path / 'metadata.json'
    described.write_text(json.dumps(content).replace('{root}', str(root)))
    store = make_store(datadir=str(root), metadata_file=str(described))

    first = store.write('key', iter([b'1']))
    first.metadata['store'] = 'changed by the caller'

    assert store.write('key2', iter([b'1'])).metadata == {'id': 'share', 'mountpoint': str(root)}


@pytest.mark.parametrize('given', [
    {'datadir': '/a', 'datadirs': ['/b']}, {'datadir': 'relative'}, {'datadirs': ['/a:x']},
    {'datadirs': ['/a:1', '/a:2']}, {'datadirs': ['/a:-1']}, {'file_perm': 240},
    {'file_perm': 888}, {'file_perm': 77777}, {'metadata_file': '/nonexistent'}])
def test_invalid_options_prevent_the_start(make_store, given):
    with pytest.raises(contract.Misconfigured) as refused:
        make_store(**given)

    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('content', ['', '[]x', '{"id": 1, "mountpoint": "/"}', '["x"]', '{}'])
def test_a_malformed_metadata_file_prevents_the_start(make_store, tmp_path, content):
    (tmp_path / 'metadata').write_text(content)

    with pytest.raises(contract.Misconfigured):
        make_store(metadata_file=str(tmp_path / 'metadata'))


# --- several directories

@pytest.fixture
def free_space(monkeypatch):
    """Free bytes by path."""
    free = {}
    monkeypatch.setattr(file_module, '_free_space', lambda directory: free[directory])
    return free


class TestSeveralDirectories(FileContract):

    @pytest.fixture
    def store(self, make_store, tmp_path):
        return make_store(datadirs=[f'{tmp_path}/a', f'{tmp_path}/b:0', f'{tmp_path}/c:5'])


@pytest.fixture
def other_file_system(tmp_path):
    """A directory on another file system than ``tmp_path``."""
    path = pathlib.Path(tempfile.mkdtemp(dir='/dev/shm'))
    assert path.stat().st_dev != tmp_path.stat().st_dev
    yield path
    shutil.rmtree(path)


class TestSeveralFileSystems(FileContract):
    """The preferred one may not support O_DIRECT."""

    @pytest.fixture
    def store(self, make_store, tmp_path, other_file_system):
        return make_store(datadirs=[f'{tmp_path}/a:1', f'{other_file_system}/b:2'])


def test_images_stay_in_place_when_priorities_change(make_store, tmp_path, other_file_system):
    store = make_store(datadirs=[f'{tmp_path}/a:1', f'{other_file_system}/b:2'])
    urls = [store.write('there', iter([b'there' * MIB])).url]
    store = make_store(datadirs=[f'{tmp_path}/a:2', f'{other_file_system}/b:1'])
    urls.append(store.write('here', iter([b'here'])).url)

    assert urls == [f'file://{other_file_system}/b/there', f'file://{tmp_path}/a/here']
    assert [sum(map(len, store.read(url))) for url in urls] == [5 * MIB, 4]
    with pytest.raises(contract.Conflict):
        store.write('there', iter([b'1']))
    store.discard('there')
    store.delete(urls[1])
    assert (names(tmp_path / 'a'), names(other_file_system / 'b')) == ([], [])


def test_priority_and_then_free_space_decide(make_store, tmp_path, free_space):
    a, b, c = (str(tmp_path / name) for name in 'abc')
    store = make_store(datadirs=[f'{a}:1', f'{b}:1', c])
    free_space.update({a: 100, b: 200, c: 1000})

    for key, size in (('k1', 150), ('k2', 500), ('k3', None)):
        store.write(key, iter([b'x']), size=size)

    assert (names(tmp_path / 'a'), names(tmp_path / 'b'), names(tmp_path / 'c')) == (
        [], ['k1', 'k3'], ['k2'])
    with pytest.raises(contract.TooLarge):
        store.write('k4', iter([b'x']), size=1001)
    assert store.properties()['data_dir'] == [a, b, c]


def test_a_key_is_unique_across_directories(make_store, tmp_path, free_space):
    a, b = str(tmp_path / 'a'), str(tmp_path / 'b')
    store = make_store(datadirs=[a, b])
    free_space.update({a: 2, b: 1})
    store.write('key', iter([b'first']))
    free_space.update({a: 1, b: 2})

    with pytest.raises(contract.Conflict):
        store.write('key', iter([b'second']))
    with pytest.raises(contract.Conflict):
        store.write('late', _source_with(lambda: (tmp_path / 'a' / 'late').write_text('won')))

    assert (names(tmp_path / 'a'), names(tmp_path / 'b')) == (['key', 'late'], [])


def _source_with(act):
    yield b'x' * MIB
    act()
    yield b'y'


# --- hostile URLs

def test_links_pipes_and_directories_are_not_data(store, tmp_path):
    secret = tmp_path.parent / f'{tmp_path.name}-secret'
    secret.write_text('secret')
    (tmp_path / '6d9f0b8e-3c0a-4b1f-9d57-8f2a60f4c3d1').touch()     # a living directory
    (tmp_path / 'link').symlink_to(secret)
    (tmp_path / 'directory').mkdir()
    os.mkfifo(tmp_path / 'pipe')

    for name in ('link', 'directory', 'pipe'):
        for ask in (store.read, store.size):
            with pytest.raises(contract.NotFound):
                ask(f'file://{tmp_path}/{name}')


@pytest.mark.parametrize('make', [
    lambda path: os.symlink('/etc/hostname', path), os.mkfifo, os.mkdir],
    ids=['link', 'pipe', 'directory'])
def test_what_replaced_a_data_file_is_not_deleted(store, tmp_path, caplog, make):
    url = store.write('key', iter([b'1'])).url
    (tmp_path / 'key').unlink()
    make(tmp_path / 'key')

    with pytest.raises(contract.Forbidden) as refused:
        store.delete(url)
    store.discard('key')

    assert os.path.lexists(tmp_path / 'key')
    assert str(tmp_path) not in str(refused.value)
    assert caplog.text.count(f'{tmp_path}/key is not a file of this service and stays') == 2


def test_partial_and_hidden_files_have_no_url(store, tmp_path):
    (tmp_path / '.hidden').write_text('x')

    for name in ('.hidden', '.', '..', f'{partial_file.PREFIX}1-2'):
        assert not store.owns(f'file://{tmp_path}/{name}')
        with pytest.raises(contract.Invalid):
            store.read(f'file://{tmp_path}/{name}')


@pytest.mark.parametrize('key', ['', '.', '..', '.x', 'a/b', 'a\0', '../x', 'x\n', 'x' * 256])
def test_invalid_keys_are_refused(store, tmp_path, key):
    for act in (lambda: store.write(key, iter([b'1'])), lambda: store.discard(key)):
        with pytest.raises(contract.Invalid):
            act()

    assert names(tmp_path) == []


def test_a_directory_with_a_common_prefix_belongs_to_another_store(make_store, tmp_path):
    store = make_store(datadir=str(tmp_path / 'ab'))

    assert store.owns(f'file://{tmp_path}/ab/key')
    for path in ('a/key', 'abc/key', 'ab', 'ab/', 'ab/sub/key', 'ab/../ab/key'):
        assert not store.owns(f'file://{tmp_path}/{path}')


def test_a_data_directory_may_be_a_symbolic_link(make_store, tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'data').symlink_to('real')
    store = make_store(datadir=f'{tmp_path}/data/')

    url = store.write('key', iter([b'12345'])).url

    assert url == f'file://{tmp_path}/data/key'
    assert b''.join(store.read(url)) == b'12345'


def test_a_failed_deletion_is_reported(store, tmp_path, monkeypatch):
    url = store.write('key', iter([b'1'])).url
    for code, expected in ((errno.EPERM, contract.Forbidden), (errno.EROFS, contract.Forbidden),
                          (errno.EIO, contract.Unavailable), (errno.ENOENT, contract.NotFound)):
        def fail(path, code=code):
            raise OSError(code, os.strerror(code), path)
        monkeypatch.setattr(os, 'unlink', fail)

        with pytest.raises(expected) as failure:
            store.delete(url)

        assert str(tmp_path) not in str(failure.value)


# --- exclusive resources

def test_a_directory_is_claimed_under_its_real_path(make_store, tmp_path):
    (tmp_path / 'link').symlink_to('real')

    one = make_store(datadir=str(tmp_path / 'real'))
    other = make_store(datadirs=[f'{tmp_path}/link', f'{tmp_path}/own'])

    assert set(one.exclusive_resources()) == {f'{tmp_path}/real'}
    assert set(other.exclusive_resources()) == {f'{tmp_path}/real', f'{tmp_path}/own'}


def test_a_directory_that_is_listed_twice_is_reported(make_store, tmp_path, caplog):
    store = make_store(datadirs=[f'{tmp_path}/a:1', f'{tmp_path}/b:1', f'{tmp_path}/a/:1'])

    assert store.properties()['data_dir'] == [f'{tmp_path}/a', f'{tmp_path}/b']
    assert f'{tmp_path}/a twice' in caplog.text


def test_the_most_specific_mountpoint_is_recorded(make_store, tmp_path):
    described = tmp_path / 'metadata.json'
    described.write_text(json.dumps([
        {'id': 'all', 'mountpoint': '/'}, {'id': 'outer', 'mountpoint': str(tmp_path)},
        {'id': 'inner', 'mountpoint': f'{tmp_path}/inner/'}]))

    ids = [make_store(datadir=f'{tmp_path}/{name}', metadata_file=str(described)).write(
        'key', iter([b'1'])).metadata['id'] for name in ('inner', 'beside')]

    assert ids == ['inner', 'outer']
