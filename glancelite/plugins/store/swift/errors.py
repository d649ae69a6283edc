"""Translates responses of Swift and broken connections into errors of the contract."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.client import CONNECTION_ERRORS, EarlyResponse, Response

LOG = logging.getLogger(__name__)

_Result = TypeVar('_Result')


def translate_response(response: Response) -> contract.Error:
    """Return the error for a response that is not a success; the details are logged."""
    status = response.status
    if status == http.client.NOT_FOUND:
        return store_rules.no_data()
    if status in (http.client.CONFLICT, http.client.PRECONDITION_FAILED):
        return store_rules.key_in_use()
    LOG.error('Swift returned %s (transaction %s): %s', status,
              response.headers.get('X-Trans-Id', 'unknown'), response.body[:500])
    if status == http.client.REQUEST_ENTITY_TOO_LARGE:
        return contract.TooLarge('The store is full, or the data is too large for it.')
    if status == http.client.FORBIDDEN:
        return contract.Forbidden('The store does not allow this.')
    if status == http.client.UNAUTHORIZED:
        return contract.Unavailable('The store rejects the credentials.')
    return contract.Unavailable('The store is not available.')


def translate_refusal(response: Response) -> contract.Error:
    """Return the error for a response that refuses an upload."""
    error = translate_response(response)
    if isinstance(error, contract.NotFound):
        return contract.Unavailable('The container of the data was deleted.')
    if isinstance(error, contract.Forbidden):
        return contract.Unavailable('The store does not allow writing.')
    return error


def translate_error(error: Exception) -> contract.Error:
    """Return the error for one of ``CONNECTION_ERRORS``; the details are logged."""
    if isinstance(error, EarlyResponse):
        return translate_response(error.response)
    LOG.error('Swift does not respond: %s', error or type(error).__name__)
    return contract.Unavailable('The store does not respond.')


def call_translated(function: Callable[..., _Result], *arguments: Any) -> _Result:
    """Call a function of the client, and translate its ``CONNECTION_ERRORS``."""
    try:
        return function(*arguments)
    except CONNECTION_ERRORS as error:
        raise translate_error(error) from error


def check_created(response: Response) -> Response:
    """Return the response to an upload; raise an error unless it is 201."""
    if response.status != http.client.CREATED:
        raise translate_refusal(response)
    return response


def read_denied() -> contract.Unavailable:
    """The error for data that the credentials must not read."""
    return contract.Unavailable('The store does not allow reading this data.')
