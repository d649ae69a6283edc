"""The suite for notifiers.  Subclass ``NotifierContract`` and override ``notifier``."""

from __future__ import annotations

import concurrent.futures
import copy
import datetime
import logging
import time

import pytest

from glancelite.contract import EVENTS, Context, Event

SECRET = 'gAAAAA-the-token-of-the-caller'
CALLER = Context(user='u', project='p', roles=frozenset({'member'}), request_id='req-1',
                 token=SECRET, catalog=[{'type': 'image', 'id': SECRET}])
AT = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PAYLOAD = {
    'id': 'c0ffee', 'name': 'ünï\n"quoted"', 'status': 'active', 'size': 1 << 40,
    'created_at': '2026-01-01T12:00:00Z', 'protected': False, 'checksum': None,
    'properties': {'k': 'v', '': ''}, 'tags': ['a', '😀'], 'deleted_at': None,
}
TYPES = sorted({kind for kinds in EVENTS.values() for kind in kinds})


def event(kind='image.update', payload=PAYLOAD, **fields):
    return Event(kind, payload, CALLER, AT, **fields)


class NotifierContract:

    @pytest.fixture
    def notifier(self):
        raise NotImplementedError('override the `notifier` fixture')

    @pytest.mark.parametrize('kind', TYPES)
    def test_every_type_of_event_is_accepted(self, notifier, kind):
        assert notifier.notify(event(kind)) is None

    def test_a_payload_of_plain_text_is_accepted(self, notifier):
        failure = event('image.upload', 'the store is full\n%s %(x)s', priority='ERROR')

        assert notifier.notify(failure) is None

    def test_the_payload_stays_unchanged(self, notifier):
        payload = copy.deepcopy(PAYLOAD)

        notifier.notify(event(payload=payload))

        assert payload == PAYLOAD

    def test_the_secrets_of_the_caller_are_not_logged(self, notifier, caplog):
        caplog.set_level(logging.DEBUG)

        notifier.notify(event())
        notifier.notify(event('image.upload', 'it failed', priority='ERROR'))

        assert SECRET not in caplog.text

    def test_notify_does_not_delay_the_request(self, notifier):
        start = time.monotonic()

        for _ in range(100):
            notifier.notify(event())

        assert time.monotonic() - start < 5     # seconds: no wait for a network

    def test_many_can_notify_at_once(self, notifier):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: notifier.notify(event()), range(80)))

        assert results == [None] * 80
