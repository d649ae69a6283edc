"""Writes new objects to one container, which is created if it is missing."""

from __future__ import annotations

import http.client
import logging
from collections.abc import Callable, Mapping
from http.client import HTTPMessage

from glancelite import contract
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.client import Response, UploadStream
from glancelite.plugins.store.swift.errors import translate_refusal

LOG = logging.getLogger(__name__)

NEW_OBJECT = {'If-None-Match': '*', 'Content-Type': 'application/octet-stream'}


class Container:
    """A container for new objects.

    :param create: called if the container is missing.
    """

    def __init__(self, account: Account, name: str, create: Callable[[], None]):
        self._account = account
        self._create = create
        self.name = name

    def head(self, name: str) -> HTTPMessage:
        return self._account.head(self.name, name)

    def put(self, name: str, body: bytes = b'', query: str = '',
            headers: Mapping[str, str] = contract.EMPTY,
            timeout: float | None = None) -> Response:
        """Write a small object in one request; return the response, whatever its status.

        This does not create a missing container.
        """
        return self._account.put(self.name, name, body, query, {**NEW_OBJECT, **headers},
                                 timeout=timeout)

    def put_empty(self, name: str) -> Response:
        """Write an object without data: servers send no ``100 Continue`` for it."""
        response = self.put(name)
        if response.status == http.client.NOT_FOUND:
            self._create()
            response = self.put(name)
        return response

    def open(self, name: str, length: int | None = None) -> UploadStream:
        """Begin to write an object; the caller finishes or aborts it.

        :param length: bytes of the data, if that is certain.
        """
        stream = self.try_open(name, length)
        if isinstance(stream, Response):
            raise translate_refusal(stream)
        return stream

    def try_open(self, name: str, length: int | None = None,
                 headers: Mapping[str, str] = contract.EMPTY) -> UploadStream | Response:
        """Begin to write an object; return the response if it refuses the data."""
        def open_upload() -> UploadStream | Response:
            return self._account.open_upload(self.name, name, {**NEW_OBJECT, **headers}, length)
        stream = open_upload()
        if stream.status == http.client.NOT_FOUND:
            self._create()
            stream = open_upload()
        return stream

    def try_delete(self, name: str) -> None:
        """Delete an object after a failure; log errors."""
        try:
            self._account.delete(self.name, name)
        except contract.NotFound:
            pass
        except contract.Error as error:
            LOG.error('%s/%s could not be deleted: %s', self.name, name, error)


def get_etag(headers: HTTPMessage) -> str:
    """Return the ETag without its quotes."""
    return headers.get('ETag', '').strip('"')
