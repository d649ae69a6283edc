"""The store ``file`` keeps the contract, Glance's layout, and every byte."""

import errno
import fcntl
import json
import os
import resource
import stat
import subprocess
import sys
import textwrap

import pytest

from glancelite import contract
from glancelite.plugins.store import file as file_module
from glancelite.plugins.store import partial
from glancelite.plugins.store.file import FileStore
from glancelite.testing.contracts.store import LargeImageContract, StoreContract
from glancelite.testing.fakes import broken_source

MIB = 1 << 20
#: a writer in another process that says when it is in the middle of an image
WRITER = textwrap.dedent('''
    import sys
    from glancelite.loader import Options
    from glancelite.plugins.store.file import FileStore
    from glancelite.testing.fakes import FakeHost

    def source():
        yield b'x' * 100_000
        print('writing', flush=True)
        sys.stdin.readline()
        yield b'y'

    store = FileStore(Options.of(FileStore, filesystem_store_datadir=sys.argv[1]), FakeHost())
    print(store.write('slow', source()).url, flush=True)
''')


@pytest.fixture
def make_store(make_plugin, tmp_path):
    """Builds a store in ``tmp_path``; options without their prefix."""
    def make(**options):
        named = {f'filesystem_store_{key}': value for key, value in options.items()
                 if key != 'thin'}
        if 'datadirs' not in options:
            named.setdefault('filesystem_store_datadir', str(tmp_path))
        return make_plugin(FileStore, filesystem_thin_provisioning=options.get('thin', False),
                           **named)
    return make


@pytest.fixture
def store(make_store):
    return make_store()


@pytest.fixture
def elsewhere(tmp_path):
    """Starts a writer in another process; call it for the process."""
    running = []

    def start():
        process = subprocess.Popen([sys.executable, '-c', WRITER, str(tmp_path)], text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout.readline() == 'writing\n'
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


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
    """With the default options."""


class TestThinFileStore(FileContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(thin=True, chunk_size=4096)


class TestFileStoreWithPermissions(FileContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(file_perm=640, chunk_size=1000)


class TestFileStoreWithoutLinks(FileContract):
    """On a file system that knows no hard links."""

    @pytest.fixture
    def store(self, make_store, monkeypatch):
        def link(*paths):
            raise OSError(errno.EPERM, 'no links')
        monkeypatch.setattr(os, 'link', link)
        return make_store()


class TestLargeImages(LargeImageContract):

    @pytest.fixture
    def store(self, make_store):
        return make_store(thin=True)


# --- layout and options

def test_the_layout_is_the_one_of_glance(store, tmp_path):
    written = store.write('key', iter([b'12345']))

    assert written == contract.Written(f'file://{tmp_path}/key', 5)
    assert (tmp_path / 'key').read_bytes() == b'12345'


def test_images_that_glance_wrote_are_read(store, tmp_path):
    (tmp_path / 'old').write_bytes(b'12345')

    for scheme in ('file', 'filesystem'):
        assert b''.join(store.read(f'{scheme}://{tmp_path}/old', offset=1)) == b'2345'


def test_hands_out_what_a_server_can_give_to_the_kernel(store):
    url = store.write('key', iter([b'12345'])).url

    part = store.read(url, offset=1, length=3)

    assert isinstance(part, contract.FileExtent)
    assert (part.offset, part.length) == (1, 3)
    assert os.pread(part.file.fileno(), part.length, part.offset) == b'234'
    part.close()


def test_the_default_directory_is_the_one_of_glance(make_plugin, monkeypatch, tmp_path):
    monkeypatch.setattr(file_module, 'DEFAULT_DATADIR', str(tmp_path / 'default'))

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


def test_reads_in_chunks_of_the_configured_size(make_store):
    store = make_store(chunk_size=1000)
    url = store.write('key', iter([b'x' * 2500])).url

    assert [len(chunk) for chunk in store.read(url)] == [1000, 1000, 500]


def test_small_pieces_are_gathered_before_they_are_written(make_store, monkeypatch):
    store = make_store(chunk_size=1000)
    writes = []
    write = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: writes.append(len(data)) or write(fd, data))

    store.write('key', iter([b'x' * 100] * 25 + [b'y' * 5000]))

    assert writes == [1000, 1000, 5500]


def test_a_write_that_comes_short_goes_on(make_store, monkeypatch):
    store = make_store()
    write = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: write(fd, data[:30_000]))
    data = os.urandom(200_000)

    assert b''.join(store.read(store.write('key', iter([data])).url)) == data


@pytest.mark.parametrize('cut', [1000, 4096, 10_000, 1 << 20])
def test_chunks_of_zeros_take_no_room(make_store, tmp_path, cut):
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


@pytest.mark.parametrize('options', [
    {'datadir': '/a', 'datadirs': ['/b']}, {'datadir': 'relative'}, {'datadirs': ['/a:x']},
    {'datadirs': ['/a:1', '/a:2']}, {'datadirs': ['/a:-1']}, {'file_perm': 240},
    {'file_perm': 888}, {'file_perm': 77777}, {'metadata_file': '/nonexistent'}])
def test_options_that_cannot_work_stop_the_start(make_store, options):
    with pytest.raises(contract.Misconfigured) as refused:
        make_store(**options)

    assert '\n' not in str(refused.value)


@pytest.mark.parametrize('content', ['', '[]x', '{"id": 1, "mountpoint": "/"}', '["x"]', '{}'])
def test_a_metadata_file_that_makes_no_sense_stops_the_start(make_store, tmp_path, content):
    (tmp_path / 'metadata').write_text(content)

    with pytest.raises(contract.Misconfigured):
        make_store(metadata_file=str(tmp_path / 'metadata'))


# --- several directories

@pytest.fixture
def room(monkeypatch):
    """Path -> bytes free there."""
    free = {}
    monkeypatch.setattr(file_module, '_room', lambda root: free[root])
    return free


class TestSeveralDirectories(FileContract):

    @pytest.fixture
    def store(self, make_store, tmp_path):
        return make_store(datadirs=[f'{tmp_path}/a', f'{tmp_path}/b:0', f'{tmp_path}/c:5'])


def test_the_priority_and_then_the_room_decide(make_store, tmp_path, room):
    a, b, c = (str(tmp_path / name) for name in 'abc')
    store = make_store(datadirs=[f'{a}:1', f'{b}:1', c])
    room.update({a: 100, b: 200, c: 1000})

    for key, size in (('k1', 150), ('k2', 500), ('k3', None)):
        store.write(key, iter([b'x']), size=size)

    assert (names(tmp_path / 'a'), names(tmp_path / 'b'), names(tmp_path / 'c')) == (
        [], ['k1', 'k3'], ['k2'])
    with pytest.raises(contract.TooLarge):
        store.write('k4', iter([b'x']), size=1001)
    assert store.properties()['data_dir'] == [a, b, c]


def test_a_key_is_taken_in_all_directories(make_store, tmp_path, room):
    a, b = str(tmp_path / 'a'), str(tmp_path / 'b')
    store = make_store(datadirs=[a, b])
    room.update({a: 2, b: 1})
    store.write('key', iter([b'first']))
    room.update({a: 1, b: 2})

    with pytest.raises(contract.Conflict):
        store.write('key', iter([b'second']))
    with pytest.raises(contract.Conflict):
        store.write('late', _while_writing(lambda: (tmp_path / 'a' / 'late').write_text('won')))

    assert (names(tmp_path / 'a'), names(tmp_path / 'b')) == (['key', 'late'], [])


def _while_writing(act):
    yield b'x' * MIB
    act()
    yield b'y'


# --- crashes

def test_what_a_killed_writer_left_is_swept(store, tmp_path, elsewhere):
    writer = elsewhere()
    assert [name.startswith(partial.PREFIX) for name in names(tmp_path)] == [True]

    store.discard('other')
    assert len(names(tmp_path)) == 1    # it lives
    writer.kill()
    writer.wait()
    store.discard('slow')

    assert names(tmp_path) == []


def test_a_living_writer_is_left_alone(make_store, tmp_path, elsewhere):
    writer = elsewhere()

    make_store().discard('slow')
    said, _ = writer.communicate('go on\n')

    assert said.strip() == f'file://{tmp_path}/slow'
    assert names(tmp_path) == ['slow']
    assert (tmp_path / 'slow').stat().st_size == 100_001


def test_sweeps_when_it_starts_and_now_and_then(make_store, tmp_path, monkeypatch):
    left = tmp_path / f'{partial.PREFIX}1-dead'
    left.write_bytes(b'x')
    store = make_store()
    assert names(tmp_path) == []

    left.write_bytes(b'x')
    store.write('early', iter([b'1']))
    assert left.exists()
    monkeypatch.setattr(file_module.time, 'monotonic', lambda: 1e12)
    store.write('late', iter([b'1']))

    assert names(tmp_path) == ['early', 'late']


@pytest.mark.parametrize('sweeper', ['has it', 'had it'])
def test_a_sweep_that_meets_a_new_file_takes_nothing_from_its_writer(
        store, tmp_path, monkeypatch, sweeper):
    flock, met = fcntl.flock, []

    def late(fd, how):
        if not met:    # the file is there, and not locked by its writer yet
            met.extend(names(tmp_path))
            if sweeper == 'has it':
                raise BlockingIOError
            (tmp_path / met[0]).unlink()
        flock(fd, how)
    monkeypatch.setattr(fcntl, 'flock', late)

    url = store.write('key', iter([b'12345'])).url
    monkeypatch.undo()
    store.discard('other')

    assert len(met) == 1
    assert b''.join(store.read(url)) == b'12345'
    assert names(tmp_path) == ['key']


def test_the_bytes_are_on_disk_before_the_name_and_the_name_before_the_answer(
        store, tmp_path, monkeypatch):
    happened = []

    def spy(module, name, describe):
        real = getattr(module, name)

        def call(*args):
            happened.append(describe(*args))
            return real(*args)
        monkeypatch.setattr(module, name, call)

    spy(os, 'write', lambda fd, data: 'write')
    spy(os, 'fsync', lambda fd: 'sync directory' if stat.S_ISDIR(os.fstat(fd).st_mode)
        else 'sync file')
    spy(os, 'link', lambda source, target: 'link')
    store.write('key', iter([b'1']))

    assert happened == ['write', 'sync file', 'link', 'sync directory']


@pytest.mark.parametrize('call', ['fsync', 'link', 'write', 'open', 'statvfs'])
@pytest.mark.parametrize(('code', 'meaning'), [
    (errno.ENOSPC, contract.TooLarge), (errno.EDQUOT, contract.TooLarge),
    (errno.EFBIG, contract.TooLarge), (errno.EACCES, contract.Unavailable),
    (errno.EROFS, contract.Unavailable), (errno.EIO, contract.Unavailable),
    (errno.ESTALE, contract.Unavailable)])
def test_every_failure_of_the_system_has_a_meaning_and_leaves_nothing(
        store, tmp_path, monkeypatch, call, code, meaning):
    def fail(*args):
        raise OSError(code, os.strerror(code), str(tmp_path))

    with monkeypatch.context() as broken:
        broken.setattr(os, call, fail)
        with pytest.raises(meaning) as failure:
            store.write('key', iter([b'x' * MIB, b'y']))

    assert str(tmp_path) not in str(failure.value)
    assert names(tmp_path) == []
    assert store.write('key', iter([b'1'])).size == 1


def test_a_directory_that_cannot_be_synced_takes_nothing(store, tmp_path, monkeypatch):
    fsync = os.fsync

    def fail(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, 'broken disk')
        fsync(fd)
    monkeypatch.setattr(os, 'fsync', fail)

    with pytest.raises(contract.Unavailable):
        store.write('key', iter([b'1']))

    assert names(tmp_path) == []


def test_a_file_beyond_the_limit_of_the_system_is_too_large(store, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))

    try:
        with pytest.raises(contract.TooLarge):
            store.write('key', iter([b'x' * MIB] * 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert names(tmp_path) == []


def test_an_image_that_cannot_fit_is_refused_before_it_comes(store):
    def source():
        raise AssertionError('nothing should be pulled')
        yield

    with pytest.raises(contract.TooLarge):
        store.write('key', source(), size=1 << 60)


def test_a_directory_that_comes_later_is_fine(make_store, tmp_path):
    (tmp_path / 'mount').write_text('not a directory yet')
    store = make_store(datadir=str(tmp_path / 'mount' / 'images'))
    with pytest.raises(contract.Unavailable):
        store.health()
    with pytest.raises(contract.Unavailable):
        store.write('key', iter([b'1']))

    (tmp_path / 'mount').unlink()

    assert store.write('key', iter([b'1'])).size == 1
    assert store.health().endswith('GiB free')


def test_a_failed_write_does_not_touch_files_opened_later(store, tmp_path):
    with pytest.raises(ConnectionError):
        store.write('key', broken_source(b'x' * 100))
    other = tmp_path / 'other'

    with other.open('wb') as later:
        later.write(b'mine')

    assert other.read_bytes() == b'mine'


# --- hostile addresses

def test_links_pipes_and_directories_lead_nowhere(store, tmp_path):
    secret = tmp_path.parent / f'{tmp_path.name}-secret'
    secret.write_text('secret')
    (tmp_path / 'link').symlink_to(secret)
    (tmp_path / 'directory').mkdir()
    os.mkfifo(tmp_path / 'pipe')

    for name in ('link', 'directory', 'pipe'):
        for ask in (store.read, store.size, store.delete):
            with pytest.raises(contract.NotFound):
                ask(f'file://{tmp_path}/{name}')

    assert names(tmp_path) == ['directory', 'link', 'pipe']


def test_partial_and_hidden_files_have_no_address(store, tmp_path):
    (tmp_path / '.hidden').write_text('x')

    for name in ('.hidden', '.', '..', f'{partial.PREFIX}1-2'):
        assert not store.owns(f'file://{tmp_path}/{name}')
        with pytest.raises(contract.Invalid):
            store.read(f'file://{tmp_path}/{name}')


@pytest.mark.parametrize('key', ['', '.', '..', '.x', 'a/b', 'a\0', '../x', 'x\n', 'x' * 256])
def test_what_is_no_key_is_refused(store, tmp_path, key):
    for act in (lambda: store.write(key, iter([b'1'])), lambda: store.discard(key)):
        with pytest.raises(contract.Invalid):
            act()

    assert names(tmp_path) == []


def test_a_directory_whose_name_only_begins_alike_is_another_store(make_store, tmp_path):
    store = make_store(datadir=str(tmp_path / 'ab'))

    assert store.owns(f'file://{tmp_path}/ab/key')
    for path in ('a/key', 'abc/key', 'ab', 'ab/', 'ab/sub/key', 'ab/../ab/key'):
        assert not store.owns(f'file://{tmp_path}/{path}')


def test_a_data_directory_may_be_a_link_itself(make_store, tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'data').symlink_to('real')
    store = make_store(datadir=f'{tmp_path}/data/')

    url = store.write('key', iter([b'12345'])).url

    assert url == f'file://{tmp_path}/data/key'
    assert b''.join(store.read(url)) == b'12345'


def test_what_may_not_be_removed_is_said(store, tmp_path, monkeypatch):
    url = store.write('key', iter([b'1'])).url
    for code, meaning in ((errno.EPERM, contract.Forbidden), (errno.EROFS, contract.Forbidden),
                          (errno.EIO, contract.Unavailable), (errno.ENOENT, contract.NotFound)):
        def fail(path, code=code):
            raise OSError(code, os.strerror(code), path)
        monkeypatch.setattr(os, 'unlink', fail)

        with pytest.raises(meaning) as failure:
            store.delete(url)

        assert str(tmp_path) not in str(failure.value)
