"""What is told of uploads and downloads."""

import json

import pytest

from glancelite import contract
from glancelite.testing import service
from glancelite.testing.fakes import Recorder


def test_an_upload_is_told_with_the_stores_that_it_concerns(core, ctx, queued):
    recorder = Recorder()
    watched = service.exchange(core, notifiers=[recorder])

    watched.use_cases.uploads.receive(ctx, queued().id, iter([b'data']), store='cold')

    told = {event.type: event.payload for event in recorder.events}
    for event_type in ('image.prepare', 'image.upload'):
        assert told[event_type]['os_glance_importing_to_stores'] == []
        assert told[event_type]['os_glance_failed_import'] == []
        assert told[event_type]['backend'] == 'cold'
    assert 'backend' not in told['image.activate']


def test_events_say_who_tells_them(tmp_path, ctx, caplog):
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', '[DEFAULT]\ndefault_publisher_id = image.north') + 'notifier = log\n')
    caplog.set_level('INFO', 'glancelite.notification')

    core.use_cases.images.create(ctx, core.schema.create({}))
    core.close()

    event, = map(json.loads, caplog.messages)
    assert (event['event_type'], event['publisher_id']) == ('image.create', 'image.north')


@pytest.mark.parametrize(('delayed', 'status'), [('false', 'deleted'), ('true', 'pending_delete')])
def test_a_deletion_is_told_with_what_becomes_of_the_image(tmp_path, ctx, delayed, status):
    recorder = Recorder()
    core = service.build(tmp_path, service.MEMORY.replace(
        '[DEFAULT]', f'[DEFAULT]\ndelayed_delete = {delayed}'))
    watched = service.exchange(core, notifiers=[recorder])
    image = watched.use_cases.images.create(ctx, core.schema.create(
        {'disk_format': 'raw', 'container_format': 'bare'}))
    watched.use_cases.uploads.receive(ctx, image.id, iter([b'data']))

    watched.use_cases.images.delete(ctx, image.id)
    core.close()

    event = recorder.events[-1]
    assert (event.type, event.payload['status'], event.payload['deleted']) == (
        'image.delete', status, True)


def test_a_failed_upload_is_told_as_an_error(core, ctx, queued):
    recorder = Recorder()
    watched = service.exchange(core, notifiers=[recorder])

    with pytest.raises(contract.Invalid):
        watched.use_cases.uploads.receive(ctx, queued().id, iter([b'four']), size=3)

    assert recorder.types == ['image.update', 'image.prepare', 'image.upload', 'image.update']
    assert recorder.events[2].priority == 'ERROR'
    assert isinstance(recorder.events[2].payload, str)


def test_no_step_back_is_told_that_was_not_made(watched, ctx, queued):
    core, told = watched
    image = queued()

    def source():
        yield b'some'
        core.use_cases.images.delete(ctx, image.id)
        yield b'more'

    with pytest.raises(contract.Gone):
        core.use_cases.uploads.receive(ctx, image.id, source())

    assert told() == ['saving']


@pytest.mark.parametrize(('sent', 'priority'), [(4, 'INFO'), (3, 'ERROR')])
def test_a_download_is_told_with_what_was_sent(core, ctx, queued, sent, priority):
    recorder = Recorder()
    watched = service.exchange(core, notifiers=[recorder])
    image = core.use_cases.uploads.receive(ctx, queued().id, iter([b'data']))

    watched.use_cases.downloads.open(ctx, image.id).done(sent)

    event = recorder.events[-1]
    assert (event.type, event.priority) == ('image.send', priority)
    assert event.payload == {
        'bytes_sent': sent, 'image_id': image.id, 'owner_id': 'owner',
        'receiver_tenant_id': 'owner', 'receiver_user_id': 'user'}
