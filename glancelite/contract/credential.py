"""The layer ``credential``: with whose rights a store uses its backend."""

from __future__ import annotations

import abc
from typing import Any

from glancelite.contract.context import Context
from glancelite.contract.errors import Unsupported
from glancelite.contract.plugin import Plugin


class Credential(abc.ABC):
    """What one operation on a backend acts with; for the threads of that operation.

    :ivar project: id of the project whose account is used, where that is known.
    """

    project: str | None = None

    @abc.abstractmethod
    def token(self) -> str:
        """A token that is good for a while; renewed when the old one is about to expire.

        :raises Unavailable: the identity service does not answer or refuses us.
        """

    @abc.abstractmethod
    def endpoint(self, service_type: str, *, interface: str = 'public',
                 region: str | None = None) -> str:
        """Where the service is, by the catalog.

        :param interface: ``public``, ``internal`` or ``admin``.
        :raises Unavailable: the catalog does not say.
        """

    def refused(self) -> None:  # noqa: B027  a token that cannot be renewed stays as it is
        """The backend did not take the token: ask for another one the next time."""

    def close(self) -> None:  # noqa: B027  most hold nothing
        """Give up what was made for this operation."""


class CredentialSource(Plugin):
    """Gives credentials to those plugins that ask their host for some.

    Its options are in the section of the plugin that asks; what is not there is looked up in
    ``[backend_defaults]``, and then in the section of its own.
    """

    LAYER = 'credential'

    @abc.abstractmethod
    def open(self, ctx: Context | None, *, long: bool = False) -> Credential | None:
        """Rights for one operation; whoever asks closes them.

        :param ctx: the caller; None when the service acts on its own, or one who has a project
            and no token where it does so for that project.
        :param long: it may take longer than the caller's token lives.
        :returns: None if the backend knows no identity service.
        :raises Unavailable: the identity service does not answer or refuses us.
        :raises Unsupported: these rights need a caller, and there is none.
        """

    def session(self) -> Any:
        """A ``keystoneauth1`` session with the service's own rights, for libraries that want one.

        :raises Unsupported: there are none.
        """
        raise Unsupported('there is no session without rights of the service')
