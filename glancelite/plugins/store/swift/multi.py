"""Each object in a container of its own, in the account of its owner (multi-tenant)."""

from __future__ import annotations

import contextlib
import logging
import urllib.parse
from collections.abc import Collection, Sequence
from typing import Any

from glancelite import contract
from glancelite.contract import store_rules
from glancelite.plugins.store.swift import endpoints, location, references
from glancelite.plugins.store.swift.account import Account
from glancelite.plugins.store.swift.client import Client
from glancelite.plugins.store.swift.location import ObjectLocation

LOG = logging.getLogger(__name__)


class MultiTenant:
    """The accounts of callers, with their credentials.

    If the service has an account that may use those of others (a reseller admin), data can be
    deleted without a caller.

    :param section: of the store, for the credential plugin.
    """

    def __init__(self, options: Any, host: contract.Host, client: Client, section: str):
        if options.swift_store_config_file:
            raise contract.Misconfigured('set either swift_store_multi_tenant or '
                                         'swift_store_config_file, not both')
        self._options = options
        self._client = client
        #: the known clusters, as returned by ``_cluster``
        self._clusters = {_cluster(options.swift_store_endpoint)} - {None}
        login = references.load(options)[options.default_swift_reference].login
        self._source = host.load(contract.CredentialSource, 'caller', section, login)

    # URLs

    def new_location(self, key: str, account: Account) -> tuple[str, str]:
        """Return the container and the URL for a new object."""
        container = self.container_name(key)
        return container, location.format_url(account.url, container, key)

    def container_name(self, key: str) -> str:
        return f'{self._options.swift_store_container}_{key}'

    def parse(self, url: str) -> ObjectLocation:
        """Return the parts of a URL; ``open`` checks that it leads to the right Swift.

        :raises Invalid: it is not the URL of an object in an account.
        """
        target = _parse(url)
        if target is None:
            raise store_rules.foreign_url()
        return target

    def owns(self, url: str) -> bool:
        target = _parse(url)
        if target is None:
            return False
        known = _cluster(target.site_url) in self._clusters
        if self._options.swift_store_endpoint and not known:
            return False
        if target.container.endswith(f'_{target.name}'):    # of this store, or of another one
            return target.container == self.container_name(target.name)
        return known

    def adopt(self, url: str, ctx: contract.Context | None) -> str:
        target = self.parse(url)
        if self._options.swift_store_endpoint:
            own = endpoints.from_options(self._options, ctx.project if ctx is not None else None)
        else:
            credential, own = self._log_in(ctx)     # the context has the service catalog
            credential.close()
        if _cluster(own) != _cluster(target.site_url):
            raise store_rules.foreign_url()
        # other accounts may be readable with the credentials of other users
        if ctx is not None and target.site_url != own:
            raise contract.Invalid('Locations must be in the account of their project.')
        return location.format_url(target.site_url, target.container, target.name)

    def exclusive_resources(self) -> Collection[str]:
        endpoint = self._options.swift_store_endpoint or ''
        return [f'swift:{endpoint}:{self._options.swift_store_container}_']

    # accounts

    def open(self, target: ObjectLocation | None, ctx: contract.Context | None) -> Account:
        """Return the account of an object, or the caller's if ``target`` is None.

        :raises Invalid: the object is in another Swift than that of the service catalog.
        """
        credential, account_url = self._log_in(ctx)
        if target is not None:
            if _cluster(account_url) != _cluster(target.site_url):
                credential.close()
                raise store_rules.foreign_url()
            account_url = target.site_url
        return Account(self._client, account_url, credential)

    def prepare_long_upload(self, account: Account, ctx: contract.Context | None) -> None:
        """Use a trust, because the upload may take longer than the caller's token is valid."""
        if self._options.swift_store_use_trusts:
            account.replace_credential(self._source.open(ctx, long_running=True))

    def create_container(self, account: Account, container: str) -> bool:
        """Create a missing container; return whether it is for one object only."""
        account.create_container(container)
        return True

    def check_root(self, account: Account, container: str) -> None:
        """
        :raises Unavailable: the account does not exist; the container ends with its object.
        """
        try:
            account.head_account()
        except contract.NotFound:
            raise contract.Unavailable('The account of the data does not exist.') from None
        except contract.Forbidden:
            pass    # readers of one container may not look at the account

    def check_discarding(self, account: Account, container: str) -> None:
        """Do nothing: a container that does not exist has no partial data."""

    def on_deleted(self, account: Account, target: ObjectLocation) -> None:
        """Delete the container of a deleted object, if this store has created it."""
        if target.container == self.container_name(target.name):
            try:
                account.delete_container(target.container)
            except contract.Forbidden:
                LOG.info('not allowed to delete the empty container %s', target.container)

    def share(self, account: Account, target: ObjectLocation, *, public: bool,
              projects: Sequence[str]) -> None:
        readers = '*:*' if public else ','.join(f'{project}:*' for project in projects)
        writers = ','.join(f'{project}:*' for project in self._options.swift_store_admin_tenants)
        account.update_container(target.container, {'X-Container-Read': readers,
                                                    'X-Container-Write': writers})

    def health(self) -> str:
        return self._source.health()

    def _log_in(self, ctx: contract.Context | None) -> tuple[contract.Credential, str]:
        """Return a credential, and the URL of the caller's account."""
        credential = self._source.open(ctx)
        if credential is None:
            raise contract.Unavailable('There is no account for the object store.')
        with contextlib.ExitStack() as on_error:
            on_error.callback(credential.close)
            project = ctx.project if ctx is not None and ctx.project else credential.project
            if self._options.swift_store_endpoint:
                account_url = endpoints.from_options(self._options, project)
            else:
                account_url = endpoints.from_catalog(self._options, credential)
                if project and credential.project and project != credential.project:
                    account_url = account_url.replace(credential.project, project)
            on_error.pop_all()
        self._clusters.add(_cluster(account_url))
        return credential, account_url


def _parse(url: str) -> ObjectLocation | None:
    """Return the parts of a URL in an account; None for one with credentials or a reference."""
    target = location.parse(url)
    if target is None or target.is_reference or target.user is not None:
        return None
    return target


def _cluster(account_url: str | None) -> tuple[str, str, str] | None:
    """Return what the URLs of all accounts of one Swift have in common; None for no URL."""
    if not account_url:
        return None
    parts = urllib.parse.urlsplit(account_url.rstrip('/'))
    return parts.scheme, parts.netloc.lower(), parts.path.rpartition('/')[0]
