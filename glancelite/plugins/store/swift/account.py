"""The operations on containers and objects of one Swift account."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPMessage
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift.client import (
    CONNECTION_ERRORS,
    Client,
    Response,
    ResponseStream,
    UploadStream,
)
from glancelite.plugins.store.swift.errors import call_translated, translate_response

LOG = logging.getLogger(__name__)

_SUCCESS = range(200, 300)
_SEGMENT_SUFFIX = re.compile(r'-\d{5,}\Z')


class Account:
    """One account; each request that is rejected with 401 is repeated with a new token.

    :param url: of the account, without a slash at the end.
    :param credential: closed with the account.
    """

    def __init__(self, client: Client, url: str, credential: contract.Credential):
        self._client = client
        self._credential = credential
        self.url = url

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._credential.close()

    def replace_credential(self, credential: contract.Credential | None) -> None:
        """Use another credential from now on, if there is one."""
        if credential is not None:
            self._credential.close()
            self._credential = credential

    # objects

    def head(self, container: str, name: str) -> HTTPMessage:
        """Return the headers of an object.

        :raises NotFound: it does not exist.
        """
        return self._check(self._request('HEAD', _path(container, name))).headers

    def open(self, container: str, name: str, byte_range: str | None = None) -> ResponseStream:
        """Open the data of an object; the status may be 416.

        :param byte_range: ``first-last``, as in a header ``Range``.
        """
        headers = {'Range': f'bytes={byte_range}'} if byte_range else {}
        url = self.url + _path(container, name)
        stream: ResponseStream = self._authorized(lambda token: self._client.open(
            'GET', url, {**headers, 'X-Auth-Token': token}))
        if stream.status in _SUCCESS or stream.status == 416:
            return stream
        body = b''
        with contextlib.closing(stream), contextlib.suppress(*CONNECTION_ERRORS):
            body = stream.read_all()
        raise translate_response(Response(stream.status, stream.headers, body))

    def open_upload(self, container: str, name: str, headers: Mapping[str, str],
                    length: int | None = None) -> UploadStream | Response:
        """Begin to write an object.

        :param length: bytes of the data, if that is certain.
        :returns: a stream for the data, or the response that refuses it.
        """
        url = self.url + _path(container, name)
        return self._authorized(lambda token: self._client.open_upload(
            url, {**headers, 'X-Auth-Token': token}, length))

    def put(self, container: str, name: str, body: bytes = b'', query: str = '',
            headers: Mapping[str, str] = contract.EMPTY,
            timeout: float | None = None) -> Response:
        """Write a small object in one request; return the response, whatever its status."""
        return self._request('PUT', _path(container, name) + query, headers, body, timeout)

    def delete(self, container: str, name: str) -> None:
        """Delete an object without its segments.

        :raises NotFound: it does not exist.
        """
        self._check(self._request('DELETE', _path(container, name)))

    def delete_static_large_object(self, container: str, name: str) -> None:
        """Delete an object with all segments in its manifest.

        :raises NotFound: it does not exist.
        :raises Unavailable: some segments could not be deleted.
        """
        response = self._check(self._request(
            'DELETE', _path(container, name) + '?multipart-manifest=delete',
            {'Accept': 'application/json'}, timeout=10 * self._client.timeout))
        try:
            report = json.loads(response.body)
        except ValueError:
            return
        for path, status in report.get('Errors') or ():
            LOG.error('%s could not be deleted: %s', path, status)
        if report.get('Number Deleted') == 0 and report.get('Number Not Found'):
            raise store_rules.no_data()
        if report.get('Errors'):
            raise contract.Unavailable('The store has deleted only a part of the data.')

    def list_segments(self, container: str, name: str) -> Iterator[str]:
        """Yield the names of the segments that this driver wrote for an object."""
        return (segment for segment in self.list_objects(container, f'{name}-')
                if _SEGMENT_SUFFIX.fullmatch(segment, len(name)))

    def list_objects(self, container: str, prefix: str) -> Iterator[str]:
        """Yield the names with a prefix, page by page; none if there is no container."""
        marker = ''
        while True:
            query = urllib.parse.urlencode({'format': 'json', 'prefix': prefix,
                                            **({'marker': marker} if marker else {})})
            response = self._request('GET', f'{_path(container)}?{query}')
            if response.status == http.client.NOT_FOUND:
                return
            names = [entry['name'] for entry in json.loads(self._check(response).body or b'[]')
                     if 'name' in entry]
            if not names:
                return
            yield from names
            marker = names[-1]

    # containers

    def head_account(self) -> HTTPMessage:
        return self._check(self._request('HEAD', '')).headers

    def head_container(self, container: str) -> HTTPMessage:
        return self._check(self._request('HEAD', _path(container))).headers

    def create_container(self, container: str) -> None:
        """Create a container, if it does not exist."""
        self._check(self._request('PUT', _path(container)))

    def update_container(self, container: str, headers: Mapping[str, str]) -> None:
        self._check(self._request('POST', _path(container), headers))

    def delete_container(self, container: str) -> None:
        """Delete a container, if it exists and is empty."""
        response = self._request('DELETE', _path(container))
        if response.status not in (http.client.NOT_FOUND, http.client.CONFLICT):
            self._check(response)

    # requests

    def _request(self, method: str, path: str, headers: Mapping[str, str] = contract.EMPTY,
                 body: bytes = b'', timeout: float | None = None) -> Response:
        return self._authorized(lambda token: self._client.request(
            method, self.url + path, {**headers, 'X-Auth-Token': token}, body, timeout=timeout))

    def _authorized(self, send: Callable[[str], Any]) -> Any:
        """Call ``send`` with a token, and again with a new one if the first is rejected."""
        token = self._credential.token()
        response = call_translated(send, token)
        if response.status == http.client.UNAUTHORIZED:
            self._credential.invalidate()
            new_token = self._credential.token()
            if new_token != token:
                if isinstance(response, ResponseStream):
                    response.close()
                response = call_translated(send, new_token)
        return response

    def _check(self, response: Response) -> Response:
        if response.status not in _SUCCESS:
            raise translate_response(response)
        return response


def _path(container: str, name: str = '') -> str:
    quoted = '/' + urllib.parse.quote(container, safe='')
    return f'{quoted}/{urllib.parse.quote(name)}' if name else quoted
