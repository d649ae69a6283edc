"""Each image in a container of its own, in the account of whoever brought it."""

from __future__ import annotations

import logging
import urllib.parse
from collections.abc import Collection, Sequence

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import location, references
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.location import Address

LOG = logging.getLogger(__name__)


class CallersAccounts:
    """The accounts of callers, used with their rights.

    With an account of the service's own that may use those of others (a reseller admin), images
    can be removed when nobody calls.
    """

    def __init__(self, options, host, pool, section):
        if options.swift_store_config_file:
            raise contract.Misconfigured('set either swift_store_multi_tenant or '
                                         'swift_store_config_file, not both')
        self._options = options
        self._pool = pool
        # what is the same in the addresses of all accounts, as far as anybody has said it
        self._places = {_place(options.swift_store_endpoint)} - {None}
        login = references.load(options)[options.default_swift_reference].login
        self._source = host.load(contract.CredentialSource, 'caller', section, login)

    # where

    def place(self, key: str, account: Account) -> tuple[str, str]:
        """The container of a new image, and its address."""
        container = self.container(key)
        return container, location.written(account.url, container, key)

    def container(self, key: str) -> str:
        return f'{self._options.swift_store_container}_{key}'

    def find(self, url: str) -> Address:
        """What the address means here; whether it is that of our Swift is seen in ``open``.

        :raises Invalid: nothing.
        """
        address = location.parse(url)
        if address is None or address.scheme == 'config' or address.user is not None:
            raise store_rules.foreign_url()
        return address

    def owns(self, url: str) -> bool:
        address = location.parse(url)
        if address is None or address.scheme == 'config' or address.user is not None:
            return False
        place = _place(address.url)
        if self._options.swift_store_endpoint and place not in self._places:
            return False
        if address.container.endswith(f'_{address.name}'):  # of ours, or of another store
            return address.container == self.container(address.name)
        return place in self._places

    def adopt(self, url: str, ctx: contract.Context | None) -> str:
        address = self.find(url)
        if self._options.swift_store_endpoint:
            own = self._endpoint(ctx.project if ctx is not None else None)
        else:
            credential, own = self._enter(ctx)  # the caller has the catalogue with him
            credential.close()
        if _place(own) != _place(address.url):
            raise store_rules.foreign_url()
        # what is not his own we could perhaps read, in the name of others
        if ctx is not None and address.url != own:
            raise contract.Invalid('Images can only be taken from the account of their project.')
        return location.written(address.url, address.container, address.name)

    def exclusive_resources(self) -> Collection[str]:
        endpoint = self._options.swift_store_endpoint or ''
        return [f'swift:{endpoint}:{self._options.swift_store_container}_']

    # who

    def open(self, address: Address | None, ctx: contract.Context | None, *,
             key: str = '') -> Account:
        """The account in which an image is, or will be; None for a new one.

        :raises Invalid: the address leads to another Swift than the catalogue.
        """
        credential, storage = self._enter(ctx)
        if address is not None:
            if _place(storage) != _place(address.url):
                credential.close()
                raise store_rules.foreign_url()
            storage = address.url
        return Account(self._pool, storage, credential)

    def prolong(self, account: Account, ctx: contract.Context | None) -> None:
        """From now on it may take longer than the token of the caller lives."""
        if self._options.swift_store_use_trusts:
            account.prolong(self._source.open(ctx, long_running=True))

    def prepare(self, account: Account, container: str) -> bool:
        """Make a missing container; returns whether it is for one image alone."""
        account.make(container)
        return True

    def emptied(self, account: Account, address: Address) -> None:
        """An image is gone, and so is the container that we have made for it."""
        if address.container == self.container(address.name):
            try:
                account.unmake(address.container)
            except contract.Forbidden:
                LOG.info('the empty container %s is left to its owner', address.container)

    def share(self, account: Account, address: Address, *, public: bool,
              projects: Sequence[str]) -> None:
        readers = '*:*' if public else ','.join(f'{project}:*' for project in projects)
        writers = ','.join(f'{project}:*' for project in self._options.swift_store_admin_tenants)
        account.change(address.container, {'X-Container-Read': readers,
                                           'X-Container-Write': writers})

    def health(self) -> str:
        return self._source.health()

    # how

    def _enter(self, ctx):
        """Rights, and the address of the account of the caller, whoever acts for him."""
        credential = self._source.open(ctx)
        if credential is None:
            raise contract.Unavailable('There is no account for the object store.')
        try:
            project = ctx.project if ctx is not None and ctx.project else credential.project
            if self._options.swift_store_endpoint:
                storage = self._endpoint(project)
            else:
                storage = credential.endpoint(
                    self._options.swift_store_service_type,
                    region=self._options.swift_store_region,
                    interface=self._options.swift_store_endpoint_type)
                if project and credential.project and project != credential.project:
                    storage = storage.replace(credential.project, project)
        except BaseException:
            credential.close()
            raise
        self._places.add(_place(storage))
        return credential, storage

    def _endpoint(self, project):
        return self._options.swift_store_endpoint.replace(
            '%(project_id)s', project or '').rstrip('/')


def _place(url):
    """What the addresses of all accounts of one Swift have in common; None for no address."""
    if not url:
        return None
    parts = urllib.parse.urlsplit(url.rstrip('/'))
    return parts.scheme, parts.netloc.lower(), parts.path.rpartition('/')[0]
