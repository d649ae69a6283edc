"""Writes events to the log."""

from __future__ import annotations

import json
import logging

from glancelite import contract

#: a logger of its own, so that an operator can configure a separate file
LOG = logging.getLogger('glancelite.notification')


class LogNotifier(contract.Notifier):
    """Writes one line of JSON for each event, without the caller's token."""

    def notify(self, event: contract.Event) -> None:
        level = logging.ERROR if event.priority == 'ERROR' else logging.INFO
        if LOG.isEnabledFor(level):
            line = _line(event)
            try:
                raise ValueError
            except ValueError:  # otherwise oslo.log would append the error being handled
                LOG.log(level, '%s', line)


def _line(event: contract.Event) -> str:
    caller = event.context
    return json.dumps({
        'event_type': event.type, 'publisher_id': event.publisher, 'priority': event.priority,
        'timestamp': event.timestamp.isoformat(),
        'request_id': caller.request_id, 'user_id': caller.user, 'project_id': caller.project,
        'payload': event.payload if isinstance(event.payload, str) else dict(event.payload),
    }, ensure_ascii=False, default=str)
