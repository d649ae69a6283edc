"""Tests beside the conformance suite: options, layout, URLs."""

import contextlib

import pytest
from glancelite_sqlite_store.store import BLOCK, SQLiteStore

from glancelite import contract


@pytest.fixture
def make_store(make_plugin, tmp_path):
    """Builds a store; ``make_plugin`` of the conformance kit closes it."""
    def make(**options):
        return make_plugin(SQLiteStore, name='fast',
                           **{'sqlite_path': str(tmp_path / 'images.sqlite'), **options})
    return make


@pytest.mark.parametrize(('options', 'sentence'), [
    ({'sqlite_path': 'images.sqlite'}, r'\[fast\] sqlite_path must begin with "/"'),
    ({'sqlite_label': 'My images'}, r'\[fast\] sqlite_label must be small letters'),
    ({'sqlite_path': '/srv/My images.sqlite'}, r'\[fast\] sqlite_label must be small letters'),
])
def test_invalid_options_are_reported(make_store, options, sentence):
    with pytest.raises(contract.Misconfigured, match=sentence):
        make_store(**options)


def test_the_url_contains_the_label_and_not_the_file(make_store, tmp_path):
    url = make_store(sqlite_label='ours').write('key', iter([b'12345'])).url
    (tmp_path / 'images.sqlite').rename(tmp_path / 'moved.sqlite')

    moved = make_store(sqlite_label='ours', sqlite_path=str(tmp_path / 'moved.sqlite'))

    assert url == 'sqlite://ours/key'
    assert b''.join(moved.read(url)) == b'12345'


@pytest.mark.parametrize('other', ['elsewhere/images.sqlite', 'link.sqlite'])
def test_stores_with_one_file_or_label_share_an_exclusive_resource(make_store, tmp_path, other):
    (tmp_path / 'link.sqlite').symlink_to('images.sqlite')

    one, two = make_store(), make_store(sqlite_path=str(tmp_path / other))

    assert set(one.exclusive_resources()) & set(two.exclusive_resources())


def test_a_new_store_without_a_file_has_nothing_to_discard(make_store, tmp_path):
    store = make_store()

    assert store.discard('key') is None
    assert list(tmp_path.iterdir()) == []


def test_an_adopted_url_is_recorded_in_normal_form(make_store):
    assert make_store().adopt('SQLite://Images/Key') == 'sqlite://images/Key'


def test_blocks_of_zeros_take_no_space(make_store, tmp_path):
    store = make_store()

    written = store.write('key', iter([bytes(BLOCK)] * 100))

    assert written.size == 100 * BLOCK
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < BLOCK


def test_a_full_file_raises_too_large_and_keeps_no_data(make_store, monkeypatch):
    store = make_store()
    store.delete(store.write('first', iter([b'x'])).url)     # creates the file

    @contextlib.contextmanager
    def small(opened=store._open, **how):
        with opened(**how) as file:
            file.execute('PRAGMA max_page_count = 30')
            yield file

    monkeypatch.setattr(store, '_open', small)

    with pytest.raises(contract.TooLarge):
        store.write('key', iter([b'x' * BLOCK] * 3))
    assert store.health() == '0 images, 0 MiB'
    assert store.write('key', iter([b'x' * BLOCK])).size == BLOCK


def test_a_write_that_was_discarded_is_a_conflict(make_store):
    store = make_store()

    def source():
        yield b'x' * BLOCK
        store.discard('key')
        yield b'y' * BLOCK

    with pytest.raises(contract.Conflict):
        store.write('key', source())
    assert store.health() == '0 images, 0 MiB'
