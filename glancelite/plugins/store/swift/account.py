"""One account of Swift, as somebody who has the right to may use it."""

from __future__ import annotations

import http.client
import json
import logging
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import client
from glancelite.plugins.store.swift.client import Download, HungUp, Pool, Reply, Upload

LOG = logging.getLogger(__name__)


_OK = range(200, 300)
_SEGMENT = re.compile(r'-\d{5,}\Z')


class Account:
    """Verbs on containers and objects; every one of them renews a token that was refused.

    :param url: address of the account, without a slash at the end.
    """

    def __init__(self, pool: Pool, url: str, credential: contract.Credential):
        self._pool = pool
        self._credential = credential
        self.url = url

    def __enter__(self) -> Account:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._credential.close()

    def prolong(self, credential: contract.Credential | None) -> None:
        """Go on with other rights, which are closed with the account."""
        if credential is not None:
            self._credential.close()
            self._credential = credential

    # objects

    def head(self, container: str, name: str) -> Mapping[str, str]:
        """The headers of an object.

        :raises NotFound: it is not there.
        """
        return self._done(self._ask('HEAD', _path(container, name))).headers

    def open(self, container: str, name: str, span: str | None = None) -> Download:
        """The data of an object; also where the span is none of it (416).

        :param span: ``first-last``, as in a header ``Range``.
        """
        headers = {'Range': f'bytes={span}'} if span else {}
        target = self.url + _path(container, name)
        download = self._authorized(lambda token: self._pool.open(
            'GET', target, {**headers, 'X-Auth-Token': token}))
        if download.status in _OK or download.status == 416:
            return download
        try:
            reply = Reply(download.status, download.headers, download.rest())
        except client.BROKEN:
            reply = Reply(download.status, download.headers, b'')
        finally:
            download.close()
        raise meaning(reply)

    def begin(self, container: str, name: str, headers: Mapping[str, str],
              length: int | None = None) -> Upload | Reply:
        """Begin to write an object; a Reply is a refusal."""
        target = self.url + _path(container, name)
        return self._authorized(lambda token: self._pool.send(
            target, {**headers, 'X-Auth-Token': token}, length))

    def put(self, container: str, name: str, body: bytes = b'', query: str = '',
            headers: Mapping[str, str] = contract.EMPTY,
            timeout: float | None = None) -> Reply:
        """Write a small object at once; the answer, whatever it is."""
        return self._ask('PUT', _path(container, name) + query, headers, body, timeout)

    def remove(self, container: str, name: str) -> None:
        """Remove an object alone, without segments.

        :raises NotFound: it is not there.
        """
        self._done(self._ask('DELETE', _path(container, name)))

    def remove_list(self, container: str, name: str) -> None:
        """Remove an object with all the segments that it lists.

        :raises NotFound: it is not there.
        """
        reply = self._done(self._ask(
            'DELETE', _path(container, name) + '?multipart-manifest=delete',
            {'Accept': 'application/json'}, timeout=10 * self._pool.timeout))
        try:
            told = json.loads(reply.body)
        except ValueError:
            return
        for path, status in told.get('Errors') or ():
            LOG.error('%s could not be removed: %s', path, status)
        if told.get('Number Deleted') == 0 and told.get('Number Not Found'):
            raise store_rules.no_data()
        if told.get('Errors'):
            raise contract.Unavailable('The object store has removed a part only.')

    def segments(self, container: str, name: str) -> Iterator[str]:
        """Names of what was written as the segments of an object."""
        return (found for found in self.names(container, f'{name}-')
                if _SEGMENT.fullmatch(found, len(name)))

    # containers

    def names(self, container: str, prefix: str) -> Iterator[str]:
        """Names of all objects that begin so, page by page; none if there is no container."""
        marker = ''
        while True:
            query = urllib.parse.urlencode({'format': 'json', 'prefix': prefix,
                                            **({'marker': marker} if marker else {})})
            reply = self._ask('GET', f'{_path(container)}?{query}')
            if reply.status == http.client.NOT_FOUND:
                return
            found = [entry['name'] for entry in json.loads(self._done(reply).body or b'[]')
                     if 'name' in entry]
            if not found:
                return
            yield from found
            marker = found[-1]

    def facts(self, container: str = '') -> Mapping[str, str]:
        """The headers of a container, or of the account."""
        return self._done(self._ask('HEAD', _path(container) if container else '')).headers

    def make(self, container: str) -> None:
        """Make a container, unless it is there."""
        self._done(self._ask('PUT', _path(container)))

    def change(self, container: str, headers: Mapping[str, str]) -> None:
        self._done(self._ask('POST', _path(container), headers))

    def unmake(self, container: str) -> None:
        """Remove a container if it is there and empty."""
        reply = self._ask('DELETE', _path(container))
        if reply.status not in (http.client.NOT_FOUND, http.client.CONFLICT):
            self._done(reply)

    # how

    def _ask(self, method: str, path: str, headers: Mapping[str, str] = contract.EMPTY,
             body: bytes = b'', timeout: float | None = None) -> Reply:
        return self._authorized(lambda token: self._pool.ask(
            method, self.url + path, {**headers, 'X-Auth-Token': token}, body, timeout=timeout))

    def _authorized(self, exchange: Callable[[str], object]):
        """Try once more with another token, if the one we had is refused and there is one."""
        token = self._credential.token()
        try:
            answer = exchange(token)
            if answer.status == http.client.UNAUTHORIZED:
                self._credential.invalidate()
                other = self._credential.token()
                if other != token:
                    if isinstance(answer, Download):
                        answer.close()
                    answer = exchange(other)
        except client.BROKEN as error:
            raise broken(error) from error
        return answer

    def _done(self, reply: Reply) -> Reply:
        if reply.status not in _OK:
            raise meaning(reply)
        return reply


def meaning(reply: Reply) -> contract.Error:
    """What an answer that is no success means; its text is for the log only."""
    status = reply.status
    if status == http.client.NOT_FOUND:
        return store_rules.no_data()
    if status in (http.client.CONFLICT, http.client.PRECONDITION_FAILED):
        return store_rules.key_in_use()
    LOG.error('Swift answers %s (transaction %s): %s', status,
              reply.headers.get('X-Trans-Id', 'unknown'), reply.body[:500])
    if status == http.client.REQUEST_ENTITY_TOO_LARGE:
        return contract.TooLarge('The store is full, or does not take as much.')
    if status == http.client.FORBIDDEN:
        return contract.Forbidden('The object store does not permit this.')
    if status == http.client.UNAUTHORIZED:
        return contract.Unavailable('The object store does not accept our rights.')
    return contract.Unavailable('The object store cannot do this now.')


def broken(error: Exception) -> contract.Error:
    """What a conversation that broke means."""
    if isinstance(error, HungUp):
        return meaning(error.reply)
    LOG.error('Swift does not answer: %s', error or type(error).__name__)
    return contract.Unavailable('The object store does not answer.')


def send(verb, *what):
    """Do something with a connection; what breaks it gets a meaning."""
    try:
        return verb(*what)
    except client.BROKEN as error:
        raise broken(error) from error


def accept(reply):
    if reply.status != http.client.CREATED:
        raise refusal(reply)
    return reply


def refusal(reply):
    """What it means that Swift does not take data."""
    error = meaning(reply)
    if isinstance(error, contract.NotFound):
        return contract.Unavailable('The container for images has just gone away.')
    if isinstance(error, contract.Forbidden):
        return contract.Unavailable('The object store does not let us write.')
    return error


def _path(container: str, name: str = '') -> str:
    quoted = '/' + urllib.parse.quote(container, safe='')
    return f'{quoted}/{urllib.parse.quote(name)}' if name else quoted
