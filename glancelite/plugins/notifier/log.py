"""Events as lines in the log."""

import json
import logging

from glancelite import contract

#: its own name, so that an operator can send events to a file of their own
LOG = logging.getLogger('glancelite.notification')


class LogNotifier(contract.Notifier):
    """One line of JSON for each event; never the caller's token."""

    def notify(self, event):
        level = logging.ERROR if event.priority == 'ERROR' else logging.INFO
        if LOG.isEnabledFor(level):
            line = _line(event)
            try:
                raise ValueError
            except ValueError:  # to a line of errors oslo.log adds what is handled, but not these
                LOG.log(level, '%s', line)


def _line(event):
    caller = event.context
    return json.dumps({
        'event_type': event.type, 'publisher_id': event.publisher, 'priority': event.priority,
        'timestamp': event.timestamp.isoformat(),
        'request_id': caller.request_id, 'user_id': caller.user, 'project_id': caller.project,
        'payload': event.payload if isinstance(event.payload, str) else dict(event.payload),
    }, ensure_ascii=False, default=str)
