"""The audit reports and corrects the locations of all images."""

import dataclasses

import pytest

from glancelite import contract
from glancelite.services import location_audit as audit_module
from glancelite.services.location_audit import audit
from tests.services.conftest import raising


@pytest.fixture
def record(core, reread):
    """Change the recorded location of an image."""
    def change(image, **fields):
        image = reread(image)
        return core.layers.database.images.update(image, {'locations': (
            dataclasses.replace(image.locations[0], **fields),)})
    return change


def test_correct_locations_are_not_changed(core, active, reread):
    image = active()

    assert list(audit(core.layers, write=True)) == []
    assert reread(image) == image


@pytest.mark.parametrize('metadata', [{}, {'store': 'renamed', 'more': 1}])
def test_a_wrong_store_name_is_corrected(core, active, record, reread, metadata):
    hidden = record(active(os_hidden=True), metadata=metadata)

    finding, = audit(core.layers, write=False)
    assert (finding.image_id, finding.corrected) == (hidden.id, False)
    assert reread(hidden) == hidden
    finding, = audit(core.layers, write=True)

    assert finding.corrected
    assert reread(hidden).locations[0].metadata == {**metadata, 'store': 'fast'}
    assert list(audit(core.layers, write=True)) == []


def test_passwords_are_removed_from_urls(core, active, record, reread, monkeypatch):
    image = active()
    driver = core.layers.stores['fast'].driver
    redacted = image.locations[0].url
    record(image, url=redacted.replace('://', '://key:word@'))
    monkeypatch.setattr(driver, 'adopt', lambda url, *, ctx=None: redacted)

    finding, = audit(core.layers, write=True)

    assert finding.corrected
    assert 'word' not in finding.text
    assert reread(image).locations[0].url == redacted


def test_a_password_that_the_store_needs_is_only_reported(core, active, record, reread):
    image = active()
    changed = record(image, url='memory://key:word@fast/x')

    finding, = audit(core.layers, write=True)

    assert not finding.corrected
    assert 'word' not in finding.text
    assert reread(image) == changed


def test_a_location_of_no_store_is_reported_without_secrets(core, active, record):
    record(active(), url='s3://key:word@host/bucket/x', metadata={})

    finding, = audit(core.layers, write=True)

    assert finding.text == 'no configured store has s3://host/bucket/x'


def test_every_page_is_checked(core, active, record, monkeypatch):
    monkeypatch.setattr(audit_module, 'PAGE', 2)
    images = [record(active(), metadata={}) for _ in range(5)]

    assert {finding.image_id for finding in audit(core.layers, write=True)} == {
        image.id for image in images}
    assert list(audit(core.layers, write=False)) == []


def test_an_image_that_changes_meanwhile_is_not_corrected(core, active, record, monkeypatch):
    record(active(), metadata={})
    monkeypatch.setattr(core.layers.database.images, 'update',
                        raising(contract.Conflict('changed')))

    findings = list(audit(core.layers, write=True))

    assert [finding.corrected for finding in findings] == [False, False]
