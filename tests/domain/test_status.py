"""Transitions between statuses."""

import pytest

from glancelite import contract
from glancelite.domain import status

FORMATS = {'disk_format': 'raw', 'container_format': 'bare'}


def image(state, **fields):
    return contract.Image('i', status=state, **fields)


def test_transitions_are_defined_for_every_status_and_lead_to_known_statuses():
    assert set(status.TRANSITIONS) == set(contract.STATUSES)
    for targets in status.TRANSITIONS.values():
        assert targets <= set(contract.STATUSES)


@pytest.mark.parametrize(('old', 'new'), [
    ('queued', 'saving'), ('queued', 'uploading'), ('saving', 'active'), ('saving', 'queued'),
    ('uploading', 'importing'), ('importing', 'active'), ('importing', 'queued'),
    ('active', 'deactivated'), ('deactivated', 'active'), ('active', 'pending_delete'),
    ('pending_delete', 'active'), ('killed', 'deleted')])
def test_a_listed_transition_is_allowed(old, new):
    changes = status.transition(image(old, **FORMATS), new)

    assert changes['status'] == new


@pytest.mark.parametrize(('old', 'new'), [
    ('queued', 'deactivated'), ('queued', 'killed'), ('active', 'queued'), ('active', 'saving'),
    ('deactivated', 'pending_delete'), ('killed', 'active'), ('deleted', 'queued'),
    ('active', 'active')])
def test_any_other_transition_conflicts_and_reports_the_present_status(old, new):
    with pytest.raises(contract.Conflict) as refused:
        status.transition(image(old, **FORMATS), new)

    assert refused.value.details == {'status': old}


def test_returning_to_queued_resets_the_sizes():
    changes = status.transition(image('saving', size=5, virtual_size=7), 'queued')

    assert changes == {'status': 'queued', 'size': None, 'virtual_size': None}


@pytest.mark.parametrize('new', ['saving', 'active', 'importing'])
def test_data_requires_both_formats(new):
    with pytest.raises(contract.Invalid, match='container_format'):
        status.transition(image('queued', disk_format='raw'), new)


@pytest.mark.parametrize('new', ['uploading', 'deleted'])
def test_staging_and_deleting_require_no_formats(new):
    assert status.transition(image('queued'), new) == {'status': new}


@pytest.mark.parametrize(('operation', 'state'), [
    ('upload', 'saving'), ('upload', 'active'), ('stage', 'uploading'),
    ('glance-direct', 'queued'), ('web-download', 'uploading'), ('copy-image', 'deactivated'),
    ('delete_copy', 'queued'), ('add_location', 'active')])
def test_an_operation_on_an_image_in_the_wrong_status_conflicts(operation, state):
    with pytest.raises(contract.Conflict) as refused:
        status.check_operation(operation, image(state))

    assert refused.value.details == {'status': state}


@pytest.mark.parametrize('operation', ['deactivate', 'reactivate'])
def test_an_action_in_the_wrong_status_is_forbidden(operation):
    with pytest.raises(contract.Forbidden):
        status.check_operation(operation, image('queued'))


@pytest.mark.parametrize('operation', ['deactivate', 'reactivate'])
@pytest.mark.parametrize('state', ['active', 'deactivated'])
def test_an_action_may_be_repeated(operation, state):
    assert status.check_operation(operation, image(state)) is None


def test_operations_start_from_live_statuses_only():
    for needed in status.STARTS_FROM.values():
        assert needed <= status.LIVE
