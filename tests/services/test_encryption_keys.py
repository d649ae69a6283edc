"""The keys of encrypted volumes, which are deleted together with their images."""

import pytest

from glancelite import contract
from glancelite.testing import service
from glancelite.testing.fakes import FakeKeyManager
from tests.services.conftest import raising

KEY_ID = '5f3c5a4e-7d1c-4f0d-9d7e-2c1b4a6f8e90'
ENCRYPTED = {'cinder_encryption_key_id': KEY_ID,
             'cinder_encryption_key_deletion_policy': 'on_image_deletion'}


@pytest.fixture
def keys():
    key_manager = FakeKeyManager()
    key_manager.keys.add(KEY_ID)
    return key_manager


@pytest.fixture
def core(core, keys):
    return service.exchange(core, key_manager=keys)


def test_deleting_an_image_deletes_its_encryption_key(core, ctx, active, keys):
    core.use_cases.images.delete(ctx, active(**ENCRYPTED).id)

    assert keys.keys == set()
    assert keys.callers == [ctx]


@pytest.mark.parametrize('properties', [
    {**ENCRYPTED, 'cinder_encryption_key_deletion_policy': 'do_not_delete'},
    {'cinder_encryption_key_id': KEY_ID},
    {'cinder_encryption_key_deletion_policy': 'on_image_deletion'},
    {**ENCRYPTED, 'cinder_encryption_key_id': ''}, {}])
def test_a_key_without_deletion_policy_is_not_deleted(core, ctx, active, keys, properties):
    core.use_cases.images.delete(ctx, active(**properties).id)

    assert keys.callers == []


def test_an_image_is_deleted_even_if_its_key_cannot_be(core, ctx, active, keys, caplog):
    keys.keys.clear()
    image = active(**ENCRYPTED)

    core.use_cases.images.delete(ctx, image.id)

    with pytest.raises(contract.NotFound):
        core.use_cases.images.get(ctx, image.id)
    assert f'the key {KEY_ID!r} of the deleted image {image.id} was not deleted' in caplog.text


def test_a_failed_deletion_does_not_delete_the_key(core, ctx, active, keys, monkeypatch):
    image = active(**ENCRYPTED)
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'delete',
                        raising(contract.InUse('a volume was made of it')))

    with pytest.raises(contract.InUse):
        core.use_cases.images.delete(ctx, image.id)

    assert keys.keys == {KEY_ID}
