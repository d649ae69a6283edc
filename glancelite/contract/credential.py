"""The layer ``credential``: the identity with which a plugin uses its backend."""

from __future__ import annotations

import abc
from typing import Any

from glancelite.contract.context import Context
from glancelite.contract.errors import Unsupported
from glancelite.contract.plugin import Plugin


class Credential(abc.ABC):
    """The identity of one operation on a backend; may be used by several threads.

    Operations do not disturb each other.  ``repr`` and ``health()`` of the source and
    ``repr`` of the credential show no secret and no token.

    :ivar project: id of the project whose account is used; None if unknown.
    """

    project: str | None = None

    @abc.abstractmethod
    def token(self) -> str:
        """Return a valid token; a token that is about to expire is renewed first.

        It can be the value of a header: printable ASCII, without blanks around it.  All
        threads get the same one until it is renewed.

        :raises Unavailable: the identity service does not answer or rejects us.
        """

    @abc.abstractmethod
    def endpoint(self, service_type: str, *, interface: str = 'public',
                 region: str | None = None) -> str:
        """Return the URL of a service from the service catalog.

        It begins with ``http://`` or ``https://``, and has no slash at its end.

        :param interface: ``public``, ``internal`` or ``admin``; with ``URL`` behind it, as
            in ``publicURL``, it means the same.
        :param region: the region of the endpoint; None for any.
        :raises Unavailable: the catalog has no such service, interface or region, or there
            is no catalog.
        """

    def invalidate(self) -> None:  # noqa: B027  a token that cannot be renewed is kept
        """Report that the backend rejected the token; the next ``token()`` is a new one."""

    def close(self) -> None:  # noqa: B027  most hold no resources
        """Release what was created for this operation; may be called more than once."""


class CredentialSource(Plugin):
    """Creates credentials for plugins that ask their host for a source.

    Options are read from the section of the plugin that asks, then from
    ``[backend_defaults]``, then from the section of the credential plugin.
    """

    LAYER = 'credential'

    @abc.abstractmethod
    def open(self, ctx: Context | None, *, long_running: bool = False) -> Credential | None:
        """Create the credential for one operation.  The caller of ``open`` closes it.

        :param ctx: the caller.  None if the service acts for itself; a context with a
            project and without a token if the service acts on behalf of that project.
        :param long_running: the operation may outlive the caller's token.
        :returns: None if the backend has no identity service.
        :raises Unavailable: the identity service does not answer or rejects us.
        :raises Unsupported: this source needs a caller, and there is none.
        """

    def session(self) -> Any:
        """Return a ``keystoneauth1`` session of the service's own account.

        :raises Unsupported: the source has no account of the service.
        """
        raise Unsupported('this credential source has no account of the service')
