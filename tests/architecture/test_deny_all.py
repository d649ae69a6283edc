"""A policy that refuses every action stops every use case."""

import pytest

from glancelite import contract
from glancelite.services.chains import PolicyChain
from glancelite.testing import service
from glancelite.testing.fakes import DenyAll, Recorder

from .use_cases import RULES, USE_CASES, public_methods


class ReadOnlyRecords:
    """Passes reads on; a write fails the test."""

    def __init__(self, records):
        self._records = records

    def __getattr__(self, name):
        if name in ('get', 'list', 'usage', 'read', 'item', 'items', 'resource_types'):
            return getattr(self._records, name)
        raise AssertionError(f'a refused use case wrote: {name}')


class ReadOnlyDatabase:

    def __init__(self, database):
        self.images = ReadOnlyRecords(database.images)
        self.members = ReadOnlyRecords(database.members)
        self.tasks = ReadOnlyRecords(database.tasks)
        self.metadefs = ReadOnlyRecords(database.metadefs)


class UntouchedStores:
    multi = True
    names = ('fast', 'cold')

    def choose(self, name):
        return 'fast'

    def __getattr__(self, name):
        raise AssertionError(f'a refused use case reached the stores: {name}')


def test_every_use_case_is_listed(core):
    assert public_methods(core) == set(USE_CASES) == set(RULES)


@pytest.mark.parametrize('name', USE_CASES)
def test_a_policy_that_refuses_everything_stops(name, core, context):
    make, call = USE_CASES[name]
    admin = context('owner', roles=['admin', 'member', 'reader'], is_admin=True)
    image = make(core, admin) if make else None
    policy, recorder = DenyAll(), Recorder()
    refusing = service.exchange(
        core, policy=PolicyChain([policy]), notifiers=[recorder], stores=UntouchedStores(),
        database=ReadOnlyDatabase(core.layers.database))

    with pytest.raises((contract.Forbidden, contract.NotFound)):
        call(refusing, admin, image)

    assert policy.asked[0] == RULES[name]
    assert recorder.events == []
