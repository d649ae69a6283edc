"""The identity of the caller."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from glancelite import contract
from glancelite.plugins.credential import service

LOG = logging.getLogger(__name__)


class CallerCredential(contract.CredentialSource):
    """Uses the token of the request, which cannot be renewed.

    With an account of the service (``auth_url`` and the related options), long operations
    use a trust: the account acts on behalf of the caller, until the end of the operation.
    Operations without a caller, such as a clean-up, use the account itself.
    """

    OPTS = service.OPTS

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'caller',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._account = service.Account(options) if options.auth_url else None

    def open(self, ctx: contract.Context | None, *,
             long_running: bool = False) -> contract.Credential:
        if ctx is None or not ctx.token:
            if self._account is None:
                raise contract.Unsupported('This operation requires the token of a caller, and '
                                           'there is none.')
            return service.AccountToken(self._account)
        credential = CallerToken(ctx)
        if not long_running or self._account is None:
            return credential
        try:
            return TrustToken(ctx, credential, self._account)
        except Exception as error:  # of any library; the caller's token may be sufficient
            LOG.info('no trust could be created, using the token of the caller: %s', error)
            return credential

    def session(self) -> Any:
        if self._account is None:
            return super().session()
        return self._account.session

    def health(self) -> str:
        if self._account is None:
            return 'every caller has an own token'
        self._account.access()
        return 'authenticated'

    def close(self) -> None:
        if self._account is not None:
            self._account.close()


class CallerToken(contract.Credential):
    """The token and the service catalog of the request."""

    def __init__(self, ctx: contract.Context):
        self.project = ctx.project
        self._token = ctx.token or ''
        self._catalog: Any = ctx.catalog or ()

    def token(self) -> str:
        return self._token

    def endpoint(self, service_type: str, *, interface: str = 'public',
                 region: str | None = None) -> str:
        interface = service.interface_name(interface)
        for entry in self._catalog:
            if entry.get('type') != service_type:
                continue
            for endpoint in entry.get('endpoints', ()):
                if (endpoint.get('interface') == interface
                        and region in (None, endpoint.get('region_id'), endpoint.get('region'))):
                    return str(endpoint['url']).rstrip('/')
        raise service.endpoint_missing(service_type, interface, region)


class TrustToken(contract.Credential):
    """Tokens of the service's account that act on behalf of the caller, by a trust.

    :raises Exception: the trust cannot be created, for any of many reasons.
    """

    def __init__(self, ctx: contract.Context, caller: CallerToken, account: service.Account):
        self.project = ctx.project
        self._caller = caller
        self._session = account.session
        self._root = _v3_url(account.options.auth_url)
        self._account: service.Account | None = None
        self._token: service.AccountToken | None = None
        response = self._request('POST', '', caller.token(), json={'trust': {
            'trustor_user_id': ctx.user, 'trustee_user_id': account.access().user_id,
            'project_id': ctx.project, 'impersonation': True,
            'roles': [{'name': role} for role in sorted(ctx.roles)]}})
        self._trust: str | None = response.json()['trust']['id']
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.close)
            self._account = service.Account(account.options, {
                'trust_id': self._trust, 'project_id': None, 'project_name': None,
                'project_domain_id': None, 'project_domain_name': None})
            self._token = service.AccountToken(self._account)
            on_error.pop_all()

    def token(self) -> str:
        assert self._token is not None
        return self._token.token()

    def endpoint(self, service_type: str, *, interface: str = 'public',
                 region: str | None = None) -> str:
        return self._caller.endpoint(service_type, interface=interface, region=region)

    def invalidate(self) -> None:
        assert self._token is not None
        self._token.invalidate()

    def close(self) -> None:
        """Delete the trust, with the caller's token or, if that has expired, with our own."""
        trust, self._trust = self._trust, None
        if trust is None:
            return
        with contextlib.ExitStack() as after:
            if self._account is not None:
                after.callback(self._account.close)
            for token in self._caller.token, self.token:
                try:
                    self._request('DELETE', f'/{trust}', token())
                    return
                except Exception as error:  # of any library; the operation is complete anyway
                    last_error = error
            LOG.warning('a trust could not be deleted: %s', last_error)

    def _request(self, method: str, path: str, token: str, **kwargs: Any) -> Any:
        return self._session.request(f'{self._root}/OS-TRUST/trusts{path}', method, headers={
            'X-Auth-Token': token}, authenticated=False, **kwargs)


def _v3_url(auth_url: str) -> str:
    """Return the URL of version 3, for a URL with or without the version."""
    url = auth_url.rstrip('/')
    return url if url.endswith('/v3') else f'{url}/v3'
