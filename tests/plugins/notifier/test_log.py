"""The notifier ``log`` keeps the contract: one line of JSON for each event."""

import io
import json
import logging

import pytest
from oslo_config import cfg
from oslo_log import formatters, log

from glancelite import contract
from glancelite.plugins.notifier.log import LogNotifier
from glancelite.testing.contracts.notifier import PAYLOAD, NotifierContract, event


class TestLogNotifier(NotifierContract):

    @pytest.fixture
    def notifier(self, make_plugin):
        return make_plugin(LogNotifier)

    def test_an_event_is_one_line_of_json(self, notifier, caplog):
        caplog.set_level(logging.INFO)

        notifier.notify(event('image.create'))

        [record] = caplog.records
        assert (record.name, record.levelname) == ('glancelite.notification', 'INFO')
        assert '\n' not in record.getMessage()
        assert json.loads(record.getMessage()) == {
            'event_type': 'image.create', 'publisher_id': 'image.localhost', 'priority': 'INFO',
            'timestamp': '2026-01-01T12:00:00+00:00', 'request_id': 'req-1', 'user_id': 'u',
            'project_id': 'p', 'payload': PAYLOAD}

    def test_a_failure_is_an_error(self, notifier, caplog):
        notifier.notify(event('image.upload', 'it failed', priority='ERROR'))

        [record] = caplog.records
        assert record.levelname == 'ERROR'
        assert json.loads(record.getMessage())['payload'] == 'it failed'

    def test_the_line_of_a_failure_contains_only_json(self, notifier):
        conf = cfg.ConfigOpts()
        log.register_options(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        conf.set_default('logging_default_format_string', '%(message)s')
        conf.set_default('logging_context_format_string', '%(message)s')
        handler = logging.StreamHandler(io.StringIO())
        handler.setFormatter(formatters.ContextFormatter(config=conf))
        logger = logging.getLogger('glancelite.notification')
        logger.addHandler(handler)

        try:
            raise contract.TooLarge('the image is larger than it may be')
        except contract.TooLarge:
            notifier.notify(event('image.upload', 'it failed', priority='ERROR'))
        logger.removeHandler(handler)

        assert json.loads(handler.stream.getvalue())['payload'] == 'it failed'

    def test_a_disabled_log_formats_nothing(self, notifier, caplog):
        caplog.set_level(logging.WARNING, logger='glancelite.notification')

        notifier.notify(event(payload={'not json': object}))

        assert caplog.records == []
