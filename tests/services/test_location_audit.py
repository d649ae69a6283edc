"""What is recorded of locations can be set right for all images at once."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.services import location_audit as audit_module
from glancelite.services.location_audit import audit


@pytest.fixture
def recorded(core, kept):
    """Records a location for an image, past the service."""
    def put(image, **fields):
        image = kept(image)
        return core.layers.database.images.update(image, {'locations': (
            dataclasses.replace(image.locations[0], **fields),)})
    return put


def test_what_is_right_stays_as_it_is(core, active, kept):
    image = active()

    assert list(audit(core.layers, write=True)) == []
    assert kept(image) == image


@pytest.mark.parametrize('metadata', [{}, {'store': 'renamed', 'more': 1}])
def test_the_name_of_the_store_is_set_right(core, active, recorded, kept, metadata):
    hidden = recorded(active(os_hidden=True), metadata=metadata)

    told, = audit(core.layers, write=False)
    assert (told.image_id, told.corrected) == (hidden.id, False)
    assert kept(hidden) == hidden
    done, = audit(core.layers, write=True)

    assert done.corrected
    assert kept(hidden).locations[0].metadata == {**metadata, 'store': 'fast'}
    assert list(audit(core.layers, write=True)) == []


def test_passwords_leave_the_database(core, active, recorded, kept, monkeypatch):
    image = active()
    driver = core.layers.stores['fast'].driver
    bare = image.locations[0].url
    secret = bare.replace('://', '://key:word@')
    recorded(image, url=secret)
    monkeypatch.setattr(driver, 'adopt', lambda url: bare)

    told, = audit(core.layers, write=True)

    assert told.corrected
    assert 'word' not in told.text
    assert kept(image).locations[0].url == bare


def test_a_password_that_is_needed_is_told_of_only(core, active, recorded, kept):
    image = active()
    changed = recorded(image, url='memory://key:word@fast/x')

    told, = audit(core.layers, write=True)

    assert not told.corrected
    assert 'word' not in told.text
    assert kept(image) == changed


def test_what_no_store_has_is_told_of_without_secrets(core, active, recorded):
    recorded(active(), url='s3://key:word@host/bucket/x', metadata={})

    told, = audit(core.layers, write=True)

    assert told.text == 'no configured store has s3://host/bucket/x'


def test_every_page_is_looked_at(core, active, recorded, monkeypatch):
    monkeypatch.setattr(audit_module, 'PAGE', 2)
    images = [recorded(active(), metadata={}) for _ in range(5)]

    assert {told.image_id for told in audit(core.layers, write=True)} == {
        image.id for image in images}
    assert list(audit(core.layers, write=False)) == []


def test_an_image_that_changes_meanwhile_is_left_for_the_next_time(core, active, recorded,
                                                                  monkeypatch):
    recorded(active(), metadata={})

    def conflict(*args, **named):
        raise contract.Conflict('changed')
    monkeypatch.setattr(core.layers.database.images, 'update', conflict)

    told = list(audit(core.layers, write=True))

    assert [one.corrected for one in told] == [False, False]
