"""boto3's clients for the endpoint of one store."""

from __future__ import annotations

import functools
import os
import threading
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.s3.errors import RequestFailed
from glancelite.plugins.store.s3.location import Bucket

#: timeout of a health check, in seconds
HEALTH_TIMEOUT = 5
#: number of clients that are kept for credentials of old URLs
FOREIGN_CLIENTS = 16
#: size of the connection pool; the number of downloading threads is not known here
CONNECTIONS = 100


class Client:
    """Sends requests to the endpoint of one store.

    boto3's clients are shared by threads.  Each is built when it is first used, because the
    search for ambient credentials can take a while.

    :param options: those of the store.
    :raises Misconfigured: the options contradict each other.

    :ivar conditional: whether the endpoint supports ``If-None-Match``; assumed until it
        returns 501.
    :ivar checksums: whether each request begins with the checksum of its whole body.
    """

    def __init__(self, options: Any, bucket: Bucket):
        import boto3.session
        import botocore.config
        import botocore.exceptions
        import botocore.session
        import botocore.utils

        self._boto3, self._botocore = boto3, botocore
        self._bucket = bucket
        self._lock = threading.Lock()
        self._clients: dict[tuple[bool, bool, tuple[str, str] | None], Any] = {}
        self.credentials = _credentials(options)
        self.conditional = True
        style = options.s3_store_bucket_url_format
        if style not in ('auto', 'virtual', 'path'):
            raise contract.Misconfigured('s3_store_bucket_url_format must be auto, virtual or '
                                         f'path, not {style!r}')
        if style == 'virtual' and not botocore.utils.check_dns_name(bucket.name):
            raise contract.Misconfigured(
                f's3_store_bucket {bucket.name!r} cannot be part of a host name: set '
                's3_store_bucket_url_format to path')
        self._authorities = options.s3_store_cacert or None
        if self._authorities and not os.path.exists(self._authorities):
            raise contract.Misconfigured(f's3_store_cacert: {self._authorities} does not exist')
        protected = options.s3_store_enable_data_integrity_protection
        required = 'when_required'
        request = options.s3_store_request_checksum_calculation if protected else required
        response = options.s3_store_response_checksum_validation if protected else required
        self.checksums = request != required
        self.retries = options.s3_store_retries
        self._config = {
            'request_checksum_calculation': request, 'response_checksum_validation': response,
            'connect_timeout': options.s3_store_connect_timeout,
            'read_timeout': options.s3_store_read_timeout, 'tcp_keepalive': True,
            'max_pool_connections': CONNECTIONS, 'user_agent_extra': 'glancelite'}
        self._style = {'addressing_style': style}

    def call(self, operation: str, *, bucket: str | None = None,
             credentials: tuple[str, str] | None = None, unsigned: bool = False,
             health: bool = False, **arguments: object) -> dict[str, Any]:
        """Send a request.

        :param operation: a method of boto3's client.
        :param bucket: if it is not the store's own.
        :param credentials: access key and secret key, if not the store's own.
        :param unsigned: the signature does not cover the body, so that it can be sent while
            it is produced; no retry.
        :param health: use a short timeout and no retry.
        :raises RequestFailed: the endpoint returned an error or no response.
        """
        exceptions = self._botocore.exceptions
        try:
            client = self._client(unsigned, health, credentials)
            return getattr(client, operation)(Bucket=bucket or self._bucket.name, **arguments)
        except exceptions.ClientError as error:
            details = error.response.get('Error', {})
            status = error.response.get('ResponseMetadata', {}).get('HTTPStatusCode', 0)
            raise RequestFailed(operation, status, str(details.get('Code')),
                                str(details.get('Message'))) from error
        except (exceptions.BotoCoreError, exceptions.HTTPClientError) as error:
            raise RequestFailed(operation, 0, type(error).__name__, str(error)) from error

    def head(self, key: str, **arguments: Any) -> dict[str, Any] | None:
        """Return the metadata of an object; None if it does not exist."""
        try:
            return self.call('head_object', Key=key, **arguments)
        except RequestFailed as failure:
            if failure.status == 404:
                return None
            raise

    def head_existing(self, key: str, **target: Any) -> dict[str, Any]:
        """Return the metadata of an object.

        :raises NotFound: it does not exist.
        :raises RequestFailed: also if its bucket does not exist: the response to ``HEAD`` does
            not say which of them is missing.
        """
        head = self.head(key, **target)
        if head is not None:
            return head
        try:
            self.call('head_bucket', **target)
        except RequestFailed as failure:
            if failure.status != 404:
                raise
            raise RequestFailed('head_bucket', 404, 'NoSuchBucket',
                                'the bucket does not exist') from failure
        raise store_rules.no_data()

    @property
    def connection_errors(self) -> tuple[type[BaseException], ...]:
        """What the read of a body raises when the connection breaks."""
        exceptions = self._botocore.exceptions
        return (exceptions.HTTPClientError, exceptions.ResponseStreamingError,
                exceptions.IncompleteReadError, OSError)

    @property
    def checksum_error(self) -> type[BaseException]:
        """What the last read of a body raises when the checksum is wrong."""
        return self._botocore.exceptions.FlexibleChecksumError

    def close(self) -> None:
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, unsigned: bool, health: bool, credentials: tuple[str, str] | None) -> Any:
        purpose = (unsigned, health, credentials)
        client = self._clients.get(purpose)
        if client is None:
            with self._lock:
                client = self._clients.get(purpose)
                if client is None:
                    self._evict_locked()
                    client = self._clients[purpose] = self._build(*purpose)
        return client

    def _evict_locked(self) -> None:
        foreign = [purpose for purpose in self._clients if purpose[-1] is not None]
        if len(foreign) >= FOREIGN_CLIENTS:
            del self._clients[foreign[0]]

    def _build(self, unsigned: bool, health: bool, credentials: tuple[str, str] | None) -> Any:
        access, secret = credentials or self.credentials or (None, None)
        options = dict(self._config)
        if health:
            options['connect_timeout'] = min(HEALTH_TIMEOUT, options['connect_timeout'])
            options['read_timeout'] = min(HEALTH_TIMEOUT, options['read_timeout'])
        config = self._botocore.config.Config(
            s3={**self._style, **({'payload_signing_enabled': False} if unsigned else {})},
            retries={'mode': 'standard',
                     'total_max_attempts': 1 if unsigned or health else self.retries + 1},
            **options)
        core = self._botocore.session.get_session()
        core.register_component('data_loader', _loader())
        session = self._boto3.session.Session(aws_access_key_id=access, botocore_session=core,
                                              aws_secret_access_key=secret)
        # without a region, boto3 would take the one in the environment of this process
        client = session.client('s3', endpoint_url=self._bucket.endpoint,
                                region_name=self._bucket.region or 'us-east-1',
                                use_ssl=self._bucket.secure, verify=self._authorities,
                                config=config)
        client.meta.events.register_last('before-call.s3.UploadPart', _remove_expect)
        return client


@functools.cache
def _loader() -> Any:
    """Return boto3's description of S3, which it would read again for every session."""
    import botocore.loaders
    return botocore.loaders.create_loader()


def _remove_expect(params: dict[str, Any], **others: object) -> None:
    """Send parts without ``Expect: 100-continue``.

    They can be sent again, and some endpoints do not answer it, which costs a second.
    """
    params['headers'].pop('Expect', None)


def _credentials(options: Any) -> tuple[str, str] | None:
    access, secret = options.s3_store_access_key, options.s3_store_secret_key
    if bool(access) != bool(secret):
        raise contract.Misconfigured(
            'set both s3_store_access_key and s3_store_secret_key, or neither of them to use the '
            'credentials that boto3 finds in the environment')
    return (access, secret) if access else None
