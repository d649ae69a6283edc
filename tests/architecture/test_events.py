"""Every use case sends the events that the contract lists, once."""

import pytest

from glancelite import contract
from glancelite.testing import service
from glancelite.testing.fakes import Recorder

from .use_cases import USE_CASES


@pytest.mark.parametrize('name', USE_CASES)
def test_sends_exactly_the_events_of_the_contract(name, core, context):
    make, call = USE_CASES[name]
    admin = context('owner', roles=['admin', 'member', 'reader'], is_admin=True)
    image = make(core, admin) if make else None
    recorder = Recorder()

    call(service.exchange(core, notifiers=[recorder]), admin, image)

    assert recorder.types == list(contract.EVENTS.get(name, ()))


def test_the_contract_lists_no_use_case_that_does_not_exist():
    assert contract.EVENTS.keys() <= USE_CASES.keys()
