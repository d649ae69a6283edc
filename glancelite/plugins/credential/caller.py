"""Rights of whoever calls."""

from __future__ import annotations

import contextlib
import logging

from glancelite import contract
from glancelite.plugins.credential import service

LOG = logging.getLogger(__name__)


class CallerCredential(contract.CredentialSource):
    """The token of the request, which nobody can renew.

    With an account of the service's own (``auth_url`` and what belongs to it), there are two
    things more: a caller lets that account act for him in what may take longer than his token
    lives, by a trust that ends with the operation; and where there is no caller, as in a clean-up,
    the account's own rights have to do.
    """

    OPTS = service.OPTS

    def __init__(self, options, host, *, name='caller', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._account = service.Account(options) if options.auth_url else None

    def open(self, ctx, *, long_running=False):
        if ctx is None or not ctx.token:
            if self._account is None:
                raise contract.Unsupported('This can only be done with the rights of a caller, '
                                           'and there is none.')
            return service.Token(self._account)
        plain = CallerToken(ctx)
        if not long_running or self._account is None:
            return plain
        try:
            return TrustedToken(ctx, plain, self._account)
        except Exception as error:  # foreign libraries: the token that is there may do
            LOG.info('no trust, so the token of the caller must last: %s', error)
            return plain

    def session(self):
        if self._account is None:
            return super().session()
        return self._account.session

    def health(self):
        if self._account is None:
            return 'every caller brings his own'
        self._account.access()
        return 'authenticated'

    def close(self):
        if self._account is not None:
            self._account.close()


class CallerToken(contract.Credential):
    """What the request came with."""

    def __init__(self, ctx):
        self.project = ctx.project
        self._token = ctx.token
        self._catalog = ctx.catalog or ()

    def token(self):
        return self._token

    def endpoint(self, service_type, *, interface='public', region=None):
        interface = service.plain(interface)
        for entry in self._catalog:
            if entry.get('type') != service_type:
                continue
            for place in entry.get('endpoints', ()):
                if (place.get('interface') == interface
                        and region in (None, place.get('region_id'), place.get('region'))):
                    return place['url'].rstrip('/')
        raise service.missing(service_type, interface, region)


class TrustedToken(contract.Credential):
    """Tokens of the service's account for what the caller has entrusted to it.

    :raises Exception: there is no trust, for any of many reasons.
    """

    def __init__(self, ctx, plain, account):
        self.project = ctx.project
        self._plain = plain
        self._session = account.session
        self._root = _versioned(account.options.auth_url)
        self._account = None
        reply = self._call('POST', '', plain.token(), json={'trust': {
            'trustor_user_id': ctx.user, 'trustee_user_id': account.access().user_id,
            'project_id': ctx.project, 'impersonation': True,
            'roles': [{'name': role} for role in sorted(ctx.roles)]}})
        self._trust = reply.json()['trust']['id']
        try:
            self._account = service.Account(account.options, {
                'trust_id': self._trust, 'project_id': None, 'project_name': None,
                'project_domain_id': None, 'project_domain_name': None})
            self._now = service.Token(self._account)
        except BaseException:
            self.close()
            raise

    def token(self):
        return self._now.token()

    def endpoint(self, service_type, *, interface='public', region=None):
        return self._plain.endpoint(service_type, interface=interface, region=region)

    def invalidate(self):
        self._now.refused()

    def close(self):
        """End the trust; with the caller's token, or in his name if that is too old by now."""
        trust, self._trust = self._trust, None
        if trust is None:
            return
        with contextlib.ExitStack() as after:
            if self._account is not None:
                after.callback(self._account.close)
            for token in self._plain.token, self.token:
                try:
                    self._call('DELETE', f'/{trust}', token())
                    return
                except Exception as error:  # foreign libraries: a trust ends nothing we do
                    reason = error
            LOG.warning('a trust could not be ended: %s', reason)

    def _call(self, method, path, token, **more):
        return self._session.request(f'{self._root}/OS-TRUST/trusts{path}', method, headers={
            'X-Auth-Token': token}, authenticated=False, **more)


def _versioned(auth_url):
    """The address of the third version, whichever way the operator wrote it."""
    plain = auth_url.rstrip('/')
    return plain if plain.endswith('/v3') else f'{plain}/v3'
