"""The events of the use cases, and their payloads."""

import json

import pytest

from glancelite import contract
from glancelite.testing import service
from glancelite.testing.fakes import Recorder


def test_the_events_of_an_upload_name_the_store(core, ctx, queued):
    recorder = Recorder()
    observed = service.exchange(core, notifiers=[recorder])

    observed.use_cases.uploads.receive(ctx, queued().id, iter([b'data']), store='cold')

    payloads = {event.type: event.payload for event in recorder.events}
    for event_type in ('image.prepare', 'image.upload'):
        assert payloads[event_type]['os_glance_importing_to_stores'] == []
        assert payloads[event_type]['os_glance_failed_import'] == []
        assert payloads[event_type]['backend'] == 'cold'
    assert 'backend' not in payloads['image.activate']


def test_events_have_the_configured_publisher_id(tmp_path, ctx, caplog):
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', '[DEFAULT]\ndefault_publisher_id = image.north') + 'notifier = log\n')
    caplog.set_level('INFO', 'glancelite.notification')

    core.use_cases.images.create(ctx, core.schema.create({}))
    core.close()

    event, = map(json.loads, caplog.messages)
    assert (event['event_type'], event['publisher_id']) == ('image.create', 'image.north')


@pytest.mark.parametrize(('delayed', 'status'), [('false', 'deleted'), ('true', 'pending_delete')])
def test_the_event_of_a_deletion_has_the_new_status(tmp_path, ctx, delayed, status):
    recorder = Recorder()
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', f'[DEFAULT]\ndelayed_delete = {delayed}'))
    observed = service.exchange(core, notifiers=[recorder])
    image = observed.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    observed.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    observed.use_cases.images.delete(ctx, image.id)
    core.close()

    event = recorder.events[-1]
    assert (event.type, event.payload['status'], event.payload['deleted']) == (
        'image.delete', status, True)


def test_a_failed_upload_emits_an_error_event(core, ctx, queued):
    recorder = Recorder()
    observed = service.exchange(core, notifiers=[recorder])
    image = queued()

    with pytest.raises(contract.Invalid):
        observed.use_cases.uploads.receive(ctx, image.id, iter([b'four']), size=3)

    assert recorder.types == ['image.update', 'image.prepare', 'image.upload', 'image.update']
    assert recorder.events[2].priority == 'ERROR'
    assert recorder.events[2].payload == (
        f'Failed to upload image data for image {image.id}: More data came than the 3 bytes '
        'announced.')


def test_an_upload_whose_image_was_deleted_does_not_report_queued(observed, ctx, queued):
    core, statuses = observed
    image = queued()

    def source():
        yield b'some'
        core.use_cases.images.delete(ctx, image.id)
        yield b'more'

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, source())

    assert statuses() == ['saving']


@pytest.mark.parametrize(('sent', 'priority'), [(4, 'INFO'), (3, 'ERROR')])
def test_the_event_of_a_download_has_the_number_of_bytes_sent(core, ctx, queued, sent, priority):
    recorder = Recorder()
    observed = service.exchange(core, notifiers=[recorder])
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))

    observed.use_cases.downloads.open(ctx, image.id).done(sent)

    event = recorder.events[-1]
    assert (event.type, event.priority) == ('image.send', priority)
    assert event.payload == {
        'bytes_sent': sent, 'image_id': image.id, 'owner_id': 'owner',
        'receiver_tenant_id': 'owner', 'receiver_user_id': 'user'}


def test_events_do_not_tell_where_staged_data_is(importing, ctx, queued):
    recorder = Recorder()
    core = service.exchange(importing, notifiers=[recorder])

    core.use_cases.stages.receive(ctx, queued(os_distro='debian').id, iter([b'data']))

    assert [event.payload['properties'] for event in recorder.events] == [
        {'os_distro': 'debian'}] * 2
