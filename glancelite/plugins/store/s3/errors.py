"""Translates failed requests to the S3 endpoint into errors of the contract."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules

LOG = logging.getLogger(__name__)

_FULL_CODES = {'EntityTooLarge', 'QuotaExceeded', 'InsufficientStorage', 'InsufficientCapacity',
               'XMinioStorageFull', 'MaxMessageLengthExceeded', 'NoSpaceLeft'}
_FULL_STATUSES = {413, 507}
_HINTS = {
    401: 'check s3_store_access_key and s3_store_secret_key',
    403: 'check s3_store_access_key, s3_store_secret_key, their permissions for the bucket, and '
         'the clock of this machine',
    301: 'check s3_store_region_name and s3_store_host',
    307: 'check s3_store_region_name and s3_store_host',
    400: 'check s3_store_region_name',
}


class RequestFailed(Exception):
    """The endpoint returned an error, or no response; its text is for the log.

    :ivar status: HTTP status; 0 if there was no response.
    :ivar code: error code of S3, or the name of botocore's exception.
    """

    def __init__(self, operation: str, status: int, code: str, text: str):
        super().__init__(f'{operation}: {status or "no response"}, {code}: {text}')
        self.status = status
        self.code = code

    @property
    def ambiguous(self) -> bool:
        """Whether the endpoint may have executed the request."""
        return not self.status or self.status >= 500

    @property
    def exists(self) -> bool:
        """Whether the request failed because the object exists."""
        return self.status in (409, 412)

    @property
    def full(self) -> bool:
        """Whether the endpoint has no space for the data."""
        return self.status in _FULL_STATUSES or self.code in _FULL_CODES

    @property
    def denied(self) -> bool:
        """Whether the endpoint rejected the credentials."""
        return self.status in (401, 403)


def translate_error(store: str, failure: RequestFailed) -> contract.Error:
    """Return the error for the caller; the details are logged.

    :param store: name of the store.
    """
    if failure.code in ('404', 'NoSuchKey'):
        return store_rules.no_data()
    hint = _HINTS.get(failure.status, '')
    LOG.error('store %s: %s%s', store, failure, hint and f' ({hint})')
    if failure.full:
        return contract.TooLarge('The store is full, or the data is too large for it.')
    if failure.denied:
        return contract.Unavailable('The store rejects the credentials of this service.')
    if failure.code == 'NoSuchBucket':
        return contract.Unavailable('The bucket of this store does not exist.')
    return contract.Unavailable('The store is not available.')


def translated(method: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a method of the store: ``RequestFailed`` becomes an error of the contract."""
    @functools.wraps(method)
    def wrapper(self: Any, *args: object, **kwargs: object) -> Any:
        try:
            return method(self, *args, **kwargs)
        except RequestFailed as failure:
            raise translate_error(self.name, failure) from failure
    return wrapper
