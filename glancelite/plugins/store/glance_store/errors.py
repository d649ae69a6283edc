"""What a driver raises, by what it means."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Iterable

from glancelite import contract

LOG = logging.getLogger(__name__)

_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO,
            errno.ENAMETOOLONG}
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_SAYS = {
    contract.NotFound: 'There is no data at this location.',
    contract.Conflict: 'There is data under this key already.',
    contract.TooLarge: 'The store is full.',
    contract.ReadOnly: 'The store takes no data and gives nothing up.',
    contract.Unsupported: 'The store cannot do this.',
    contract.Invalid: 'The store does not accept this location or this data.',
    contract.InUse: 'The data is in use.',
    contract.Forbidden: 'The data may not be removed.',
    contract.Unavailable: 'The store cannot be used now.',
}
#: names of ``glance_store.exceptions``: not every release has them all
_MEANS = {
    'NotFound': contract.NotFound,
    'Duplicate': contract.Conflict,
    'StorageFull': contract.TooLarge,
    'StoreAddDisabled': contract.ReadOnly,
    'StoreDeleteNotSupported': contract.ReadOnly,
    'StoreGetNotSupported': contract.Unsupported,
    'Invalid': contract.Invalid,
    'BadStoreUri': contract.Invalid,
    'UnknownScheme': contract.Invalid,
    'MaxRedirectsExceeded': contract.Invalid,
    'InUseByStore': contract.InUse,
    'HasSnapshot': contract.InUse,
    'Forbidden': contract.Forbidden,
}
#: they say that a token was not taken
_STRANGERS = {'NotAuthenticated', 'AuthorizationFailure', 'Unauthorized'}


def meaning(error: Exception) -> contract.Error:
    """An error of ours that says the same; it has nothing of the driver's text."""
    if isinstance(error, contract.Error):
        return error
    found = kind(error)
    return found(_SAYS[found])


def kind(error: Exception) -> type[contract.Error]:
    """Which error of ours says the same."""
    if isinstance(error, contract.Error):
        return type(error)
    for known in type(error).__mro__:
        if known.__module__ == 'glance_store.exceptions' and known.__name__ in _MEANS:
            return _MEANS[known.__name__]
    status = getattr(error, 'http_status', None)    # of the clients of OpenStack's services
    if status == 404 or 'HTTP 404' in str(error):
        return contract.NotFound
    if status in (413, 507):
        return contract.TooLarge
    if isinstance(error, OSError):
        if error.errno in _MISSING:
            return contract.NotFound
        if error.errno in _FULL:
            return contract.TooLarge
    return contract.Unavailable


def refused(error: Exception) -> bool:
    """Does it say that the backend did not take the token?"""
    return (getattr(error, 'http_status', None) == 401
            or any(kind.__name__ in _STRANGERS for kind in type(error).__mro__))


def tell(store: str, error: Exception, secrets: Iterable[str]) -> None:
    """Let the log know what the driver has said, without its secrets."""
    LOG.error('store %s: %s: %s', store, type(error).__name__, without(str(error), secrets))
    LOG.debug('store %s: %s', store, without(
        ''.join(traceback.format_exception(error)), secrets))


def without(text: str, secrets: Iterable[str]) -> str:
    """``text`` with stars for ``secrets``."""
    for secret in secrets:
        text = text.replace(secret, '***')
    return text
