"""Barbican, Vault, or whatever else Castellan has a driver for."""

from __future__ import annotations

import logging
import uuid

from castellan import key_manager
from castellan.common import exception
from keystoneauth1 import identity
from oslo_context import context

from glancelite import contract

LOG = logging.getLogger(__name__)

#: seconds to wait for Barbican and for its identity service, if ``[barbican] timeout`` is not set
TIMEOUT = 10


def _api(conf):
    """What ``[key_manager] backend`` names; it registers its own options."""
    try:
        return key_manager.API(conf)
    except (ImportError, AttributeError, ValueError) as error:  # it tries the name as a class
        raise contract.Misconfigured(
            f'[key_manager] backend = {conf.key_manager.backend}: there is no such driver of '
            'Castellan; barbican and vault are always there') from error


class CastellanKeyManager(contract.KeyManager):
    """Asks Barbican with the token of the caller, and others with what rights they have.

    The latter give certificates, but nobody may have keys removed with rights that are not his.
    Castellan sends its requests without any timeout, so the auth plugin that it asks of its
    caller sets one for them.
    """

    LIBRARY_OPTS = (_api,)

    def __init__(self, options, host, *, name='castellan', conf=None):
        super().__init__(options, host, name=name, conf=conf)
        self._api = _api(conf)

    def certificate(self, ctx, certificate_id):
        found = self._ask(self._api.get, ctx, certificate_id)
        if getattr(found, 'format', None) != 'X.509':
            raise contract.Invalid('What is there is no X.509 certificate.')
        return found.get_encoded()

    def delete(self, ctx, key_id):
        if 'barbican' not in self.conf.key_manager.backend.lower():
            raise contract.Forbidden('Only Barbican knows whether this caller may remove a key.')
        self._ask(self._api.delete, ctx, key_id)

    def health(self):
        return f'{self.conf.key_manager.backend}, which is asked when a key is needed'

    def _ask(self, method, ctx, object_id):
        """Call one of Castellan's methods."""
        try:
            if not _is_id(object_id):   # drivers make addresses of it
                raise exception.ManagedObjectNotFoundError(uuid=object_id)
            return method(_Caller(ctx, self.conf), object_id)
        except exception.ManagedObjectNotFoundError:
            raise contract.NotFound('The key manager has nothing of this id.') from None
        except exception.Forbidden:
            raise contract.Forbidden('The key manager refuses the caller.') from None
        except Exception as error:  # its drivers let out whatever their libraries raise
            LOG.error('the key manager: %s', error)
            if type(error) is ValueError:   # it is kept as PEM, which must be right
                raise contract.Invalid('What is there cannot be understood.') from None
            if getattr(error.__context__, 'status_code', None) == 403:
                raise contract.Forbidden('The key manager refuses the caller.') from None
            raise contract.Unavailable('The key manager cannot be asked.') from None


def _is_id(text):
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return text.replace('-', '').isalnum()


class _Caller(context.RequestContext):

    def __init__(self, ctx, conf):
        super().__init__(auth_token=ctx.token, user_id=ctx.user, project_id=ctx.project,
                         request_id=ctx.request_id)
        self._conf = conf

    def update_store(self):
        """Not in this thread: it serves others afterwards, and the log would name this caller."""

    def get_auth_plugin(self):
        """For Castellan, where it speaks to Barbican."""
        if not self.auth_token:
            raise ValueError('Barbican wants a token, and the caller has none')
        options = self._conf.barbican
        auth = _Patient(options.auth_endpoint, self.auth_token, project_id=self.project_id)
        auth.timeout = options.timeout or TIMEOUT
        return auth


class _Patient(identity.Token):
    """Is patient for ``timeout`` seconds with each request of whoever uses it."""

    timeout = TIMEOUT

    def get_access(self, session, **named):
        session.timeout = self.timeout
        return super().get_access(session, **named)
