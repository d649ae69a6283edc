"""Image data in OpenStack Swift."""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.parse
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import location, options
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.client import Client
from glancelite.plugins.store.swift.container import Container
from glancelite.plugins.store.swift.download import Download
from glancelite.plugins.store.swift.errors import read_denied
from glancelite.plugins.store.swift.location import ObjectLocation
from glancelite.plugins.store.swift.multi import MultiTenant
from glancelite.plugins.store.swift.single import SingleTenant
from glancelite.plugins.store.swift.upload import Upload

LOG = logging.getLogger(__name__)

#: bytes of a megabyte in Swift's options
MB = 1000 * 1024


class SwiftStore(contract.Store):
    """One object per image, named by its key; large ones in segments with a list of them.

    By default all data is in the account of ``default_swift_reference``, with URLs such as
    ``swift+config://REFERENCE/CONTAINER/NAME``.  They have no credentials, whether there is a
    ``swift_store_config_file`` or not.  Old URLs with credentials are only used with configured
    identity services; for the configured account, their credentials are ignored.

    With ``swift_store_multi_tenant``, each image is in the account of its uploader, and is
    accessed with the credentials of the caller.  The capability ``share`` exists only then;
    ``adopt`` then or with ``swift_store_adopt_containers``.

    Segments are sent while the data arrives; none is held in memory.  An expired token is
    replaced with the next segment.

    Swift rejects a key in use only when a request begins.  Of two processes that write the
    same key at the same moment, both may succeed.
    """

    OPTS = options.OPTS
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})
    SCHEMES = location.SCHEMES

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'swift',
                 conf: Any = None) -> None:
        super().__init__(options, host, name=name, conf=conf)
        self._upload_options = _upload_options(options)
        try:
            self._client = Client(cafile=options.swift_store_cacert,
                                  insecure=options.swift_store_auth_insecure,
                                  connect_timeout=options.swift_store_connect_timeout,
                                  timeout=options.swift_store_timeout)
        except OSError as error:
            raise contract.Misconfigured(f'swift_store_cacert {options.swift_store_cacert} '
                                         f'cannot be used: {error.strerror}') from None
        self._accounts: SingleTenant | MultiTenant
        if options.swift_store_multi_tenant:
            self._accounts = MultiTenant(options, host, self._client, name)
        else:
            self._accounts = SingleTenant(options, host, self._client, name)
            unsupported = {'share'} if options.swift_store_adopt_containers else {'share', 'adopt'}
            self.CAPABILITIES = type(self).CAPABILITIES - unsupported   # type: ignore[misc]
        self._writing = store_rules.KeyLocks()

    def write(self, key: str, chunks: Iterator[bytes], *, size: int | None = None,
              ctx: contract.Context | None = None) -> contract.WriteResult:
        store_rules.check_key(key)
        accounts = self._accounts
        # Swift itself would let two threads begin
        with self._writing.hold(key), accounts.open(None, ctx) as account:
            name, url = accounts.new_location(key, account)
            with contextlib.ExitStack() as on_error:
                def create_container() -> None:
                    if accounts.create_container(account, name):
                        on_error.callback(_try_delete_container, account, name)

                upload = Upload(Container(account, name, create_container), key,
                                self._upload_options,
                                lambda: accounts.prepare_long_upload(account, ctx))
                written = upload.run(chunks, size)
                on_error.pop_all()
        return contract.WriteResult(url, written)

    def read(self, url: str, *, offset: int = 0, length: int | None = None,
             ctx: contract.Context | None = None) -> Download:
        target = self._accounts.parse(url)
        account = self._accounts.open(target, ctx)
        with (contextlib.ExitStack() as on_error, _translate_denied_read(),
              self._existing_root(account, target)):
            on_error.callback(account.close)
            download = Download(account, target, offset, length,
                                self.options.swift_store_retry_get_count)
            on_error.pop_all()
        return download

    def size(self, url: str, *, ctx: contract.Context | None = None) -> int:
        target = self._accounts.parse(url)
        with (self._accounts.open(target, ctx) as account, _translate_denied_read(),
              self._existing_root(account, target)):
            head = account.head(target.container, target.name)
        return int(head.get('Content-Length') or 0)

    def delete(self, url: str, *, ctx: contract.Context | None = None) -> None:
        target = self._accounts.parse(url)
        with (self._accounts.open(target, ctx) as account,
              self._existing_root(account, target)):
            _delete(account, target.container, target.name)
            self._accounts.on_deleted(account, target)

    def discard(self, key: str, *, ctx: contract.Context | None = None) -> None:
        store_rules.check_key(key)
        try:
            account = self._accounts.open(None, ctx)
        except contract.Unsupported:
            LOG.info('there are no credentials to look for partial data of %s', key)
            return
        with account:
            try:
                self._discard(account, key)
            except contract.Forbidden:
                if ctx is not None and ctx.token:
                    raise
                LOG.info('the account of the service is not allowed to look for partial data of '
                         '%s', key)

    def _discard(self, account: Account, key: str) -> None:
        container, url = self._accounts.new_location(key, account)
        self._accounts.check_discarding(account, container)
        with contextlib.suppress(contract.NotFound):
            _delete(account, container, key)
        for segment in account.list_segments(container, key):
            with contextlib.suppress(contract.NotFound):
                account.delete(container, segment)
        self._accounts.on_deleted(account, self._accounts.parse(url))

    @contextlib.contextmanager
    def _existing_root(self, account: Account, target: ObjectLocation) -> Iterator[None]:
        """Check, if the block raises ``NotFound``, that the place of all data is not missing.

        :raises Unavailable: it is.
        """
        try:
            yield
        except contract.NotFound:
            self._accounts.check_root(account, target.container)
            raise

    def owns(self, url: str) -> bool:
        return self._accounts.owns(url)

    def adopt(self, url: str, *, ctx: contract.Context | None = None) -> str:
        return self._accounts.adopt(url, ctx)

    def share(self, url: str, *, public: bool, projects: Sequence[str],
              ctx: contract.Context | None = None) -> None:
        if not isinstance(self._accounts, MultiTenant):
            raise contract.Unsupported('The service reads this store for all callers, so there is '
                                       'nothing to share.')
        target = self._accounts.parse(url)
        with (self._accounts.open(target, ctx) as account, _translate_denied_read(),
              self._existing_root(account, target)):
            self._accounts.share(account, target, public=public, projects=projects)

    def exclusive_resources(self) -> Collection[str]:
        return self._accounts.exclusive_resources()

    def properties(self) -> Mapping[str, object]:
        return {'container': self.options.swift_store_container,
                'large_object_size': self._upload_options.threshold,
                'large_object_chunk_size': self._upload_options.segment_size}

    def health(self) -> str:
        return self._accounts.health()

    def close(self) -> None:
        self._client.close()


def _delete(account: Account, container: str, name: str) -> None:
    """Delete an object with its segments."""
    head = account.head(container, name)
    if head.get('X-Static-Large-Object', '').lower() == 'true':
        account.delete_static_large_object(container, name)
        return
    manifest = head.get('X-Object-Manifest')
    if manifest:
        _delete_dynamic_segments(account, manifest, container, name)
    account.delete(container, name)


def _delete_dynamic_segments(account: Account, manifest: str, container: str, name: str) -> None:
    """Delete the segments of a dynamic large object.

    The names of this driver's segments end with numbers; those of others have the prefix only.
    """
    segment_container, _, prefix = urllib.parse.unquote(manifest).partition('/')
    if (segment_container, prefix) == (container, f'{name}-'):
        segments = account.list_segments(segment_container, name)
    elif prefix:
        segments = account.list_objects(segment_container, prefix)
    else:
        LOG.error('%s/%s consists of the whole container %s, which is not deleted',
                  container, name, segment_container)
        return
    for segment in segments:
        with contextlib.suppress(contract.NotFound):
            account.delete(segment_container, segment)


def _try_delete_container(account: Account, name: str) -> None:
    """Delete a container after a failure, which is reported instead of further errors."""
    with contextlib.suppress(contract.Error):
        account.delete_container(name)


@contextlib.contextmanager
def _translate_denied_read() -> Iterator[None]:
    try:
        yield
    except contract.Forbidden as error:
        raise read_denied() from error


def _upload_options(options_: Any) -> options.UploadOptions:
    return options.UploadOptions(
        threshold=options_.swift_store_large_object_size * MB,
        segment_size=options_.swift_store_large_object_chunk_size * MB,
        static=options_.swift_store_large_object_type == 'slo',
        buffer_dir=_buffer_dir(options_))


def _buffer_dir(options: Any) -> str | None:
    """Return the directory for buffered segments; None if they are not buffered."""
    if not options.swift_buffer_on_upload:
        return None
    path: str = options.swift_upload_buffer_dir
    if not path:
        raise contract.Misconfigured('swift_buffer_on_upload requires swift_upload_buffer_dir')
    if not os.path.isdir(path) or not os.access(path, os.W_OK | os.X_OK):
        raise contract.Misconfigured(f'swift_upload_buffer_dir {path} is not a writable directory')
    return path
