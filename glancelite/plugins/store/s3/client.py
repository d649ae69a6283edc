"""boto3's clients for one store, and what their failures mean."""

from __future__ import annotations

import functools
import logging
import os
import threading
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.location import Place

LOG = logging.getLogger(__name__)

#: seconds that the endpoint has to answer a question after its health
PROBE = 5
#: other people's keys, from old URLs, for which clients are kept
FOREIGN_KEYS = 16
#: connections that are kept; the threads that download are not ours to count
CONNECTIONS = 100

_FULL_CODES = {'EntityTooLarge', 'QuotaExceeded', 'InsufficientStorage', 'InsufficientCapacity',
               'XMinioStorageFull', 'MaxMessageLengthExceeded', 'NoSpaceLeft'}
_FULL = {413, 507}
_HINTS = {
    401: 'check s3_store_access_key and s3_store_secret_key',
    403: 'check s3_store_access_key, s3_store_secret_key, what they may do in the bucket, and '
         'the clock of this machine',
    301: 'check s3_store_region_name and s3_store_host',
    307: 'check s3_store_region_name and s3_store_host',
    400: 'check s3_store_region_name',
}


class Refused(Exception):
    """The endpoint said no, or nothing: then ``status`` is 0.  The text is for the log."""

    def __init__(self, operation: str, status: int, code: str, text: str):
        super().__init__(f'{operation}: {status or "no answer"}, {code}: {text}')
        self.status = status
        self.code = code

    @property
    def unclear(self) -> bool:
        """May it have been done all the same?"""
        return not self.status or self.status >= 500

    @property
    def taken(self) -> bool:
        """Was there something already?"""
        return self.status in (409, 412)

    @property
    def full(self) -> bool:
        return self.status in _FULL or self.code in _FULL_CODES


class Client:
    """Talks to the endpoint of one store.

    Clients of boto3 are to be shared by threads: each is built once, when it is needed first,
    because to find ambient credentials can take a while.

    :param options: those of the store.
    :raises Misconfigured: the options contradict each other.
    """

    def __init__(self, options: Any, place: Place):
        import boto3.session
        import botocore.config
        import botocore.exceptions
        import botocore.session
        import botocore.utils

        self._boto3, self._botocore = boto3, botocore
        self.place = place
        self._lock = threading.Lock()
        self._clients: dict[object, Any] = {}
        self.keys = _keys(options)
        #: does it know If-None-Match?  Assumed until it says otherwise
        self.conditional = True
        style = options.s3_store_bucket_url_format
        if style not in ('auto', 'virtual', 'path'):
            raise contract.Misconfigured('s3_store_bucket_url_format must be auto, virtual or '
                                         f'path, but not {style!r}')
        if style == 'virtual' and not botocore.utils.check_dns_name(place.bucket):
            raise contract.Misconfigured(
                f's3_store_bucket {place.bucket!r} cannot be a part of a host name: set '
                's3_store_bucket_url_format to path')
        self._authorities = options.s3_store_cacert or None
        if self._authorities and not os.path.exists(self._authorities):
            raise contract.Misconfigured(f's3_store_cacert: there is no {self._authorities}')
        protected = options.s3_store_enable_data_integrity_protection
        required = 'when_required'
        request = options.s3_store_request_checksum_calculation if protected else required
        response = options.s3_store_response_checksum_validation if protected else required
        #: must each request begin with the checksum of all that follows?
        self.checksums = request != required
        self.retries = options.s3_store_retries
        self._common = {
            'request_checksum_calculation': request, 'response_checksum_validation': response,
            'connect_timeout': options.s3_store_connect_timeout,
            'read_timeout': options.s3_store_read_timeout, 'tcp_keepalive': True,
            'max_pool_connections': CONNECTIONS, 'user_agent_extra': 'glancelite'}
        self._style = {'addressing_style': style}

    def call(self, operation: str, *, bucket: str | None = None,
             keys: tuple[str, str] | None = None, unsigned: bool = False, probe: bool = False,
             **named: object) -> dict[str, Any]:
        """Ask the endpoint.

        :param operation: a method of boto3's client.
        :param bucket: if it is not the store's own.
        :param keys: access key and secret key, if not the store's own.
        :param unsigned: the signature does not cover the body, so that it can be sent while
            it comes into being; no second try.
        :param probe: whoever waits does not want to wait long; no second try.
        :raises Refused: it did not answer, or said no.
        """
        exceptions = self._botocore.exceptions
        try:
            client = self._client(unsigned, probe, keys)
            return getattr(client, operation)(Bucket=bucket or self.place.bucket, **named)
        except exceptions.ClientError as error:
            said = error.response.get('Error', {})
            status = error.response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)
            raise Refused(operation, status, str(said.get('Code')),
                          str(said.get('Message'))) from error
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise Refused(operation, 0, type(error).__name__, str(error)) from error

    def exists(self, key: str, **named: Any) -> dict[str, Any] | None:
        """What the endpoint knows of an object; None if there is none."""
        try:
            return self.call('head_object', Key=key, **named)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def broken(self) -> tuple[type[BaseException], ...]:
        """What a read of a body raises when the connection breaks."""
        found = self._botocore.exceptions
        return (found.HTTPClientError, found.ResponseStreamingError, found.IncompleteReadError,
                OSError)

    def damaged(self) -> type[BaseException]:
        """What the last read of a body raises when its checksum is wrong."""
        return self._botocore.exceptions.FlexibleChecksumError

    def close(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, unsigned: bool, probe: bool, keys: tuple[str, str] | None) -> Any:
        purpose = (unsigned, probe, keys)
        client = self._clients.get(purpose)
        if client is None:
            with self._lock:
                client = self._clients.get(purpose)
                if client is None:
                    self._forget_foreign()
                    client = self._clients[purpose] = self._build(*purpose)
        return client

    def _forget_foreign(self) -> None:
        foreign = [purpose for purpose in self._clients if purpose[-1] is not None]
        if len(foreign) >= FOREIGN_KEYS:
            del self._clients[foreign[0]]

    def _build(self, unsigned: bool, probe: bool, keys: tuple[str, str] | None) -> Any:
        access, secret = keys or self.keys or (None, None)
        named = dict(self._common)
        if probe:
            named['connect_timeout'] = min(PROBE, named['connect_timeout'])
            named['read_timeout'] = min(PROBE, named['read_timeout'])
        config = self._botocore.config.Config(
            s3={**self._style, **({'payload_signing_enabled': False} if unsigned else {})},
            retries={'mode': 'standard',
                     'total_max_attempts': 1 if unsigned or probe else self.retries + 1},
            **named)
        bare = self._botocore.session.get_session()
        bare.register_component('data_loader', _loader())
        session = self._boto3.session.Session(aws_access_key_id=access, botocore_session=bare,
                                              aws_secret_access_key=secret)
        # without a region, the environment of this process would be asked for one
        client = session.client('s3', endpoint_url=self.place.endpoint,
                                region_name=self.place.region or 'us-east-1',
                                use_ssl=self.place.secure, verify=self._authorities,
                                config=config)
        client.meta.events.register_last('before-call.s3.UploadPart', _do_not_wait)
        return client


@functools.cache
def _loader() -> Any:
    """boto3's description of S3, which it would read again for every session."""
    import botocore.loaders
    return botocore.loaders.create_loader()


def _do_not_wait(params: dict[str, Any], **others: object) -> None:
    """Send parts at once: they can be sent again, and some endpoints say nothing for a second."""
    params['headers'].pop('Expect', None)


def meaning(store: str, refused: Refused) -> contract.Error:
    """What a refusal means to the caller; its details are for the log."""
    if refused.code in ('404', 'NoSuchKey'):
        return store_rules.no_data()
    hint = _HINTS.get(refused.status, '')
    LOG.error('store %s: %s%s', store, refused, hint and f' ({hint})')
    if refused.full:
        return contract.TooLarge('The store is full, or does not take as much.')
    if refused.status in (401, 403):
        return contract.Unavailable('The store refuses the credentials of this service.')
    if refused.code == 'NoSuchBucket':
        return contract.Unavailable('The bucket of this store does not exist.')
    return contract.Unavailable('The store cannot be used now.')


def _keys(options: Any) -> tuple[str, str] | None:
    access, secret = options.s3_store_access_key, options.s3_store_secret_key
    if bool(access) != bool(secret):
        raise contract.Misconfigured(
            'set both s3_store_access_key and s3_store_secret_key, or neither to use what '
            'boto3 finds in the environment')
    return (access, secret) if access else None
