"""Translates the exceptions of a glance_store driver."""

from __future__ import annotations

import errno
import logging
import traceback
from collections.abc import Iterable

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

_MISSING = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO,
            errno.ENAMETOOLONG}
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_TEXTS = {
    contract.TooLarge: 'The store is full.',
    contract.ReadOnly: 'The store is read-only.',
    contract.Unsupported: 'The store does not support this operation.',
    contract.Invalid: 'The store does not accept this location or this data.',
    contract.InUse: 'The data is in use.',
    contract.Forbidden: 'The store does not allow the deletion of the data.',
    contract.Unavailable: 'The store cannot be used now.',
}
#: by names in ``glance_store.exceptions``, since no release has all of them
_CLASSES = {
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
#: names of exceptions that mean a rejected token
_UNAUTHENTICATED = {'NotAuthenticated', 'AuthorizationFailure', 'Unauthorized'}


def translate_error(error: Exception) -> contract.Error:
    """Return an error of the contract; its text contains nothing of the driver's text."""
    if isinstance(error, contract.Error):
        return error
    error_class = translated_class(error)
    if error_class is contract.NotFound:
        return store_rules.no_data()
    if error_class is contract.Conflict:
        return store_rules.key_in_use()
    return error_class(_TEXTS[error_class])


def translated_class(error: Exception) -> type[contract.Error]:
    """Return the class that ``translate_error`` uses."""
    if isinstance(error, contract.Error):
        return type(error)
    for base in type(error).__mro__:
        if base.__module__ == 'glance_store.exceptions' and base.__name__ in _CLASSES:
            return _CLASSES[base.__name__]
    status = getattr(error, 'http_status', None)    # of the clients of OpenStack services
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


def is_token_rejected(error: BaseException | None) -> bool:
    """Return whether the error means that the backend rejected the token."""
    return (getattr(error, 'http_status', None) == 401
            or any(base.__name__ in _UNAUTHENTICATED for base in type(error).__mro__))


def log_error(store: str, error: Exception, secrets: Iterable[str]) -> None:
    """Log the text of a driver's exception, without its secrets."""
    LOG.error('store %s: %s: %s', store, type(error).__name__, redact(str(error), secrets))
    LOG.debug('store %s: %s', store, redact(
        ''.join(traceback.format_exception(error)), secrets))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace ``secrets`` in ``text`` by asterisks."""
    for secret in secrets:
        text = text.replace(secret, '***')
    return text
