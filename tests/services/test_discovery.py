"""What users and operators see of the stores."""

import pytest

from glancelite import contract
from glancelite.services.discovery import Discovery
from tests.services.conftest import raising


def test_every_user_may_see_the_names_of_stores(core):
    assert Discovery(core.layers).stores() == [
        {'id': 'fast', 'default': 'true'}, {'id': 'cold'}]


def test_operators_see_details_of_stores(core, ctx, admin, monkeypatch):
    monkeypatch.setattr(core.layers.stores['cold'].driver, 'health',
                        raising(contract.Unavailable('no answer')))

    fast, cold = Discovery(core.layers).detail(admin)

    assert fast == {'id': 'fast', 'default': 'true', 'type': 'memory', 'weight': 0,
                    'properties': {}, 'status': 'available'}
    assert cold['status'] == 'unavailable'
    with pytest.raises(contract.Forbidden):
        Discovery(core.layers).detail(ctx)


def test_the_health_of_a_store_is_not_checked_by_every_request(core, admin, monkeypatch):
    checks = []
    monkeypatch.setattr(core.layers.stores['fast'].driver, 'health',
                        lambda: checks.append(1) or 'ok')
    discovery = Discovery(core.layers)

    for _ in range(3):
        discovery.detail(admin)

    assert checks == [1]
