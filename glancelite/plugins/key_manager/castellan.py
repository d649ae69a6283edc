"""Barbican, Vault and other key managers, through Castellan."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from typing import Any

from castellan import key_manager
from castellan.common import exception
from keystoneauth1 import identity
from oslo_context import context

from glancelite import contract

LOG = logging.getLogger(__name__)

#: timeout in seconds of requests to Barbican and its identity service, if ``[barbican]
#: timeout`` is not set
TIMEOUT = 10


def _api(conf: Any) -> Any:
    """Return the driver of ``[key_manager] backend``; it registers its own options."""
    try:
        return key_manager.API(conf)
    except (ImportError, AttributeError, ValueError) as error:  # the name may be that of a class
        raise contract.Misconfigured(
            f'[key_manager] backend = {conf.key_manager.backend}: Castellan has no such '
            'driver; it always has barbican and vault') from error


class CastellanKeyManager(contract.KeyManager):
    """Uses Barbican with the token of the caller, and others with their own credentials.

    From the others it reads certificates, but it deletes no keys, since they do not check
    whether the caller may do it.  Castellan sets no timeout for its requests, so the auth
    plugin that it gets from the context of the caller sets one.
    """

    LIBRARY_OPTS = (_api,)

    def __init__(self, options: Any, host: contract.Host, *, name: str = 'castellan',
                 conf: Any = None):
        super().__init__(options, host, name=name, conf=conf)
        self._api = _api(conf)

    def certificate(self, ctx: contract.Context, certificate_id: str) -> bytes:
        certificate = self._call(self._api.get, ctx, certificate_id)
        if getattr(certificate, 'format', None) != 'X.509':
            raise contract.Invalid('The object is not an X.509 certificate.')
        encoded: bytes = certificate.get_encoded()
        return encoded

    def delete(self, ctx: contract.Context, key_id: str) -> None:
        if 'barbican' not in self.conf.key_manager.backend.lower():
            raise contract.Forbidden('Only Barbican can check who may delete a key.')
        self._call(self._api.delete, ctx, key_id)

    def health(self) -> str:
        return f'{self.conf.key_manager.backend}, not checked until a key is needed'

    def _call(self, method: Callable[[Any, str], Any], ctx: contract.Context,
              object_id: str) -> Any:
        try:
            if not _is_id(object_id):   # drivers build URLs with it
                raise exception.ManagedObjectNotFoundError(uuid=object_id)
            return method(_Caller(ctx, self.conf), object_id)
        except exception.ManagedObjectNotFoundError:
            raise contract.NotFound('The key manager has no object with this id.') from None
        except exception.Forbidden:
            raise contract.Forbidden('The key manager rejects the caller.') from None
        except Exception as error:  # drivers raise errors of many libraries
            LOG.error('the key manager: %s', error)
            if type(error) is ValueError:   # the object is stored as PEM, which is invalid
                raise contract.Invalid('The object cannot be decoded.') from None
            if getattr(error.__context__, 'status_code', None) == 403:
                raise contract.Forbidden('The key manager rejects the caller.') from None
            raise contract.Unavailable('The key manager is unavailable.') from None


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return text.replace('-', '').isalnum()


class _Caller(context.RequestContext):

    def __init__(self, ctx: contract.Context, conf: Any):
        super().__init__(auth_token=ctx.token, user_id=ctx.user, project_id=ctx.project,
                         request_id=ctx.request_id)
        self._conf = conf

    def update_store(self) -> None:
        """Do nothing: the context must not stay in this thread, where the log would use it."""

    def get_auth_plugin(self) -> identity.Token:
        """Return the authentication for Barbican; called by Castellan."""
        if not self.auth_token:
            raise ValueError('Barbican requires a token, and the caller has none')
        options = self._conf.barbican
        auth = _TokenWithTimeout(options.auth_endpoint, self.auth_token,
                                 project_id=self.project_id)
        auth.timeout = options.timeout or TIMEOUT
        return auth


class _TokenWithTimeout(identity.Token):
    """Sets a timeout for each request of the session that uses it."""

    timeout: float = TIMEOUT

    def get_access(self, session: Any, **kwargs: Any) -> Any:
        session.timeout = self.timeout
        return super().get_access(session, **kwargs)
