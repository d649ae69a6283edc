"""The verbs of a store, on Swift."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
import urllib.parse

from glancelite import contract
from glancelite.plugins.store.swift import location, options
from glancelite.plugins.store.swift.client import Pool
from glancelite.plugins.store.swift.download import Reading
from glancelite.plugins.store.swift.multi import CallersAccounts
from glancelite.plugins.store.swift.single import OneAccount
from glancelite.plugins.store.swift.upload import Rules, Writing

LOG = logging.getLogger(__name__)

#: what Swift's operators call a megabyte
MB = 1000 * 1024

_KEY = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}')


class SwiftStore(contract.Store):
    """One object per image, named by its key; large ones as segments with a list of them.

    All images are in one account, that of ``default_swift_reference``, with addresses like
    ``swift+config://REFERENCE/CONTAINER/NAME``: no credentials are in them, whether there is a
    ``swift_store_config_file`` or not. Older addresses with credentials are followed to
    identity services that are configured, and only there; what they say of our own account
    is ignored. Or, with ``swift_store_multi_tenant``, each image is in the account of whoever
    brought it, and is used with the rights of whoever calls; ``adopts`` and ``shares`` are for
    that, but for ``swift_store_adopt_containers``.

    Segments go out as the data comes; none is kept in memory. A token that expires in the
    middle is replaced at the next segment.

    Swift does not overwrite what it knows of when a request begins. Of two processes that
    write the same key in the same moment, both may believe to have done so.
    """

    OPTS = options.OPTS
    CAPABILITIES = frozenset({'write', 'range', 'adopt', 'share'})
    SCHEMES = location.SCHEMES

    def __init__(self, options, host, *, name='swift', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._rules = Rules(
            large=options.swift_store_large_object_size * MB,
            segment=options.swift_store_large_object_chunk_size * MB,
            listed=options.swift_store_large_object_type == 'slo', buffer=_buffer(options))
        try:
            self._pool = Pool(cafile=options.swift_store_cacert,
                              insecure=options.swift_store_auth_insecure,
                              connect_timeout=options.swift_store_connect_timeout,
                              timeout=options.swift_store_timeout)
        except OSError as error:
            raise contract.Misconfigured(f'swift_store_cacert {options.swift_store_cacert} '
                                         f'cannot be used: {error.strerror}') from None
        if options.swift_store_multi_tenant:
            self._accounts = CallersAccounts(options, host, self._pool, name)
        else:
            self._accounts = OneAccount(options, host, self._pool, name)
            # the service reads for everybody: there is nobody to share with
            self.CAPABILITIES = type(self).CAPABILITIES - {'share'}
            if not options.swift_store_adopt_containers:
                self.CAPABILITIES -= {'adopt'}
        self._writing: set[str] = set()
        self._lock = threading.Lock()

    def write(self, key, chunks, *, size=None, ctx=None):
        if not _KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image.')
        accounts = self._accounts
        with self._alone(key), accounts.open(None, ctx, key=key) as account:
            container, url = accounts.place(key, account)
            made = []

            def ready():
                if accounts.prepare(account, container):
                    made.append(container)

            writing = Writing(account, container, key, self._rules, ready,
                              lambda: accounts.prolong(account, ctx))
            try:
                written = writing.run(chunks, size)
            except BaseException:
                for each in made:
                    with contextlib.suppress(contract.Error):   # what went wrong is told
                        account.unmake(each)
                raise
        return contract.WriteResult(url, written)

    def read(self, url, *, offset=0, length=None, ctx=None):
        address = self._accounts.find(url)
        account = self._accounts.open(address, ctx)
        try:
            return Reading(account, address, offset, length,
                           self.options.swift_store_retry_get_count)
        except BaseException as error:
            account.close()
            if isinstance(error, contract.Forbidden):
                raise _refused() from error
            raise

    def size(self, url, *, ctx=None):
        address = self._accounts.find(url)
        with self._accounts.open(address, ctx) as account:
            try:
                head = account.head(address.container, address.name)
            except contract.Forbidden as error:
                raise _refused() from error
        return int(head.get('Content-Length') or 0)

    def delete(self, url, *, ctx=None):
        address = self._accounts.find(url)
        with self._accounts.open(address, ctx) as account:
            _remove(account, address.container, address.name)
            self._accounts.emptied(account, address)

    def discard(self, key, *, ctx=None):
        if not _KEY.fullmatch(key):
            raise contract.Invalid('This cannot be the name of an image.')
        try:
            account = self._accounts.open(None, ctx, key=key)
        except contract.Unsupported:
            LOG.info('nobody can look for what may be left of %s', key)
            return
        with account:
            try:
                self._clear(account, key)
            except contract.Forbidden:
                if ctx is not None and ctx.token:
                    raise
                LOG.info('the account of the service may not look for what is left of %s', key)

    def _clear(self, account, key):
        container, url = self._accounts.place(key, account)
        with contextlib.suppress(contract.NotFound):
            _remove(account, container, key)
        for segment in account.segments(container, key):
            with contextlib.suppress(contract.NotFound):
                account.remove(container, segment)
        self._accounts.emptied(account, location.parse(url))

    def owns(self, url):
        return self._accounts.owns(url)

    def adopt(self, url, *, ctx=None):
        return self._accounts.adopt(url, ctx)

    def share(self, url, *, public, projects, ctx=None):
        if 'share' not in self.CAPABILITIES:
            raise contract.Unsupported('The service reads for everybody, so there is nothing to '
                                       'share.')
        address = self._accounts.find(url)
        with self._accounts.open(address, ctx) as account:
            try:
                self._accounts.share(account, address, public=public, projects=projects)
            except contract.Forbidden as error:
                raise _refused() from error

    def exclusive_resources(self):
        return self._accounts.exclusive_resources()

    def properties(self):
        return {'container': self.options.swift_store_container,
                'large_object_size': self._rules.large,
                'large_object_chunk_size': self._rules.segment}

    def health(self):
        return self._accounts.health()

    def close(self):
        self._pool.close()

    @contextlib.contextmanager
    def _alone(self, key):
        """No other thread of ours writes this key; Swift itself would let two of them begin."""
        with self._lock:
            if key in self._writing:
                raise contract.Conflict('This key is just being written.')
            self._writing.add(key)
        try:
            yield
        finally:
            with self._lock:
                self._writing.remove(key)


def _remove(account, container, name):
    """Remove an object and what it is made of."""
    head = account.head(container, name)
    if head.get('X-Static-Large-Object', '').lower() == 'true':
        account.remove_list(container, name)
        return
    manifest = head.get('X-Object-Manifest')
    if manifest:
        _remove_parts(account, manifest, container, name)
    account.remove(container, name)


def _remove_parts(account, manifest, container, name):
    """Remove the segments of a DLO: ours by their numbers, those of others by their prefix."""
    where, _, prefix = urllib.parse.unquote(manifest).partition('/')
    if (where, prefix) == (container, f'{name}-'):
        found = account.segments(where, name)
    elif prefix:
        found = account.names(where, prefix)
    else:
        LOG.error('%s/%s is made of all that is in the container %s, which stays',
                  container, name, where)
        return
    for segment in found:
        with contextlib.suppress(contract.NotFound):
            account.remove(where, segment)


def _refused():
    return contract.Unavailable('The object store does not let us read this.')


def _buffer(options):
    """The directory for segments that wait; None if they do not."""
    if not options.swift_buffer_on_upload:
        return None
    path = options.swift_upload_buffer_dir
    if not path:
        raise contract.Misconfigured('swift_buffer_on_upload needs swift_upload_buffer_dir')
    if not os.path.isdir(path) or not os.access(path, os.W_OK | os.X_OK):
        raise contract.Misconfigured(f'swift_upload_buffer_dir {path} is no directory that can '
                                     'be written to')
    return path
