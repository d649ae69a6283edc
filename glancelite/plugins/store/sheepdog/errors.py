"""Translates failures of Sheepdog's command line."""

from __future__ import annotations

import logging

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

#: texts of Sheepdog; deleting does not check locks, so none is about them
_FULL = ('no space', 'too large', 'larger than', 'Maximum number of VDIs reached')
_UNREACHABLE = ('failed to connect to', 'System is still booting', 'System is shutting down')


class CommandFailed(Exception):
    """A command failed; the text is its error output.

    It does not leave this package.
    """

    def __init__(self, text: str):
        super().__init__(text)
        #: there is no image of this name
        self.missing = self.contains('No VDI found', 'VDI not found')
        #: the daemon has not executed the command, and another one may
        self.unreachable = self.contains(*_UNREACHABLE)

    def contains(self, *texts: str) -> bool:
        """Return whether the error output contains any of ``texts``."""
        return any(text in str(self) for text in texts)


def translate_error(store: str, failure: CommandFailed) -> contract.Error:
    """Translate a failure, and log its details.

    :param store: the name of the store, for the log.
    """
    if failure.missing:
        return store_rules.no_data()
    LOG.error('store %s: %s', store, failure)
    if failure.contains(*_FULL):
        return contract.TooLarge('The store is full.')
    return contract.Unavailable('The store cannot be used now.')
