"""Optimistic writes: retries after conflicts, and undoing a write."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.contract import Image
from glancelite.services import optimistic

IMAGE = Image('id', name='old', min_ram=1)


class Records:
    """One image, and writers that are faster.

    :param conflicts: how many writes fail, each after a change of ``min_ram`` by another writer.
    """

    def __init__(self, conflicts=0, image=IMAGE):
        self.image = image
        self.reads = 0
        self.writes = []
        self._conflicts = conflicts

    def get(self, image_id, *, viewer):
        assert viewer is None
        self.reads += 1
        if self.image is None:
            raise contract.NotFound('no such image')
        return self.image

    def update(self, image, changes, *, status=None):
        self.writes.append((dict(changes), status))
        if len(self.writes) <= self._conflicts:
            self.image = change(self.image, min_ram=self.image.min_ram + 1)
        if image.revision != self.image.revision:
            raise contract.Conflict('the image was changed')
        self.image = change(self.image, **changes)
        return self.image


def change(image, **changes):
    return dataclasses.replace(image, **changes, revision=image.revision + 1)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """The seconds that the writer has slept; the clock does not move."""
    seconds = []
    monkeypatch.setattr(optimistic.time, 'sleep', seconds.append)
    return seconds


def rename(records, **options):
    return optimistic.update(records, 'id', lambda image: {'name': f'{image.min_ram}'}, **options)


# --- update

def test_an_update_without_conflict_is_written_once(pauses):
    records = Records()

    written = rename(records)

    assert (written.name, records.image.name) == ('1', '1')
    assert (records.reads, len(records.writes), pauses) == (1, 1, [])


def test_after_a_conflict_the_change_is_computed_from_the_present_image(pauses):
    records = Records(conflicts=1)

    assert rename(records).name == '2'
    assert (records.reads, len(records.writes), pauses) == (2, 2, [])


def test_later_conflicts_are_followed_by_pauses(pauses):
    rename(Records(conflicts=4))

    assert len(pauses) == 3
    assert all(0 <= pause <= optimistic.PAUSE * 2 ** number for number, pause in enumerate(pauses))


@pytest.mark.parametrize('options', [{}, {'tries': 3}])
def test_an_update_that_always_conflicts_ends_with_a_conflict(options):
    records = Records(conflicts=100)

    with pytest.raises(contract.Conflict):
        rename(records, **options)

    assert len(records.writes) == options.get('tries', optimistic.TRIES)


def test_an_update_without_limit_continues_until_it_is_written():
    assert rename(Records(conflicts=50), tries=None).name == '51'


def test_pauses_have_a_maximum_length(pauses):
    rename(Records(conflicts=2000), tries=None)

    assert max(pauses) <= optimistic.PAUSE * 2 ** optimistic.DOUBLINGS


def test_the_first_try_uses_the_known_image():
    records = Records()

    rename(records, known=IMAGE)

    assert (records.reads, len(records.writes)) == (0, 1)


def test_a_known_image_that_is_outdated_is_read_again():
    records = Records(conflicts=1)

    assert rename(records, known=IMAGE).name == '2'
    assert (records.reads, len(records.writes)) == (1, 2)


def test_the_statuses_are_passed_to_each_write():
    records = Records(conflicts=1)

    rename(records, status={'saving'})

    assert [status for _, status in records.writes] == [{'saving'}, {'saving'}]


def test_nothing_is_written_if_the_change_is_none():
    records = Records()

    assert optimistic.update(records, 'id', lambda image: None) is None
    assert records.writes == []


def test_an_image_that_is_gone_is_not_updated():
    assert rename(Records(image=None)) is None


def test_an_image_that_is_deleted_after_a_conflict_is_not_updated():
    records = Records(conflicts=1)

    def change_once(image):
        if records.writes:
            raise contract.NotFound('deleted')
        return {'name': 'new'}

    assert optimistic.update(records, 'id', change_once) is None


# --- retry

@pytest.mark.parametrize('error', [contract.Conflict('wrong status'), contract.NotFound('gone'),
                                   contract.Forbidden('refused'), ZeroDivisionError('fault')],
                         ids=lambda error: type(error).__name__)
def test_an_error_of_decide_ends_the_retries(error):
    decisions = []

    def decide(image):
        decisions.append(image)
        raise error

    with pytest.raises(type(error)) as raised:
        optimistic.retry(lambda: IMAGE, decide, pytest.fail)

    assert raised.value is error
    assert decisions == [IMAGE]


@pytest.mark.parametrize('error', [contract.NotFound('gone'), contract.Unavailable('no answer')])
def test_other_errors_of_the_write_end_the_retries(error):
    writes = []

    def write(image, decision):
        writes.append(decision)
        raise error

    with pytest.raises(type(error)):
        optimistic.retry(lambda: IMAGE, lambda image: 'decision', write)

    assert writes == ['decision']


def test_only_none_means_that_there_is_nothing_to_write():
    def retry(decision):
        return optimistic.retry(lambda: IMAGE, lambda image: decision,
                                lambda image, decision: (image, decision))

    assert retry(None) is None
    assert retry(False) == (IMAGE, False)
    assert retry({}) == (IMAGE, {})


# --- undo

def undo(records, before):
    written = records.update(before, {'name': 'new', 'min_disk': 5})
    return lambda: optimistic.undo(records, before, written, ['name', 'min_disk'])


def test_undo_restores_the_fields_that_were_written():
    records = Records()

    undo(records, IMAGE)()

    assert (records.image.name, records.image.min_disk) == ('old', IMAGE.min_disk)


def test_undo_keeps_what_others_have_changed_since():
    records = Records()
    restore = undo(records, IMAGE)
    records.image = change(records.image, name='theirs', min_ram=7)

    restore()

    assert (records.image.name, records.image.min_ram) == ('theirs', 7)
    assert records.image.min_disk == IMAGE.min_disk


def test_undo_writes_nothing_if_others_have_changed_every_field():
    records = Records()
    restore = undo(records, IMAGE)
    records.image = change(records.image, name='theirs', min_disk=6)

    restore()

    assert len(records.writes) == 1


def test_undo_does_nothing_if_the_image_is_gone():
    records = Records()
    restore = undo(records, IMAGE)
    records.image = None

    restore()


def test_undo_that_always_conflicts_ends_with_a_conflict():
    records = Records()
    restore = undo(records, IMAGE)
    records._conflicts = 100

    with pytest.raises(contract.Conflict):
        restore()
