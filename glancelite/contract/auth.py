"""The layer ``auth``: identifies the caller of a request."""

from __future__ import annotations

import abc
from collections.abc import MutableMapping
from typing import Any, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


class Authenticator(Plugin):
    """Turns a request into a ``Context``.

    Who the caller is comes from the credentials alone: headers such as ``X-Roles`` or
    ``X-Project-Id``, which a client may send, change nothing.  The same valid credentials
    give equal contexts, in many threads at once.  Credentials are neither logged nor part of
    the ``repr`` of the context.
    """

    LAYER = 'auth'
    #: True if every request is accepted without proof of identity.  Such a service
    #: listens on loopback only, unless the operator sets ``allow_insecure_bind``.
    OPEN: ClassVar[bool] = False

    @abc.abstractmethod
    def identify(self, environ: MutableMapping[str, Any]) -> Context:
        """Identify the caller.

        Read headers only; the body must stay unread.  The core sets
        ``request_id`` and ``is_admin`` of the result, and compares roles without case.

        :param environ: the WSGI environment of the request; it stays unchanged.
        :returns: a caller with a project and its ``roles`` and ``service_roles`` in lower
            case.  If callers without valid credentials may read, theirs is
            ``Context(read_only=True)``, without user, project and roles.
        :raises Unauthenticated: there is no identity, or it is not valid.  Neither its text
            nor its ``challenge`` is empty, if there is a challenge; both are printable.
        :raises Unavailable: the identity service does not answer.
        """
