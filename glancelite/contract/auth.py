"""The layer ``auth``: identifies the caller of a request."""

from __future__ import annotations

import abc
from collections.abc import MutableMapping
from typing import Any, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


class Authenticator(Plugin):
    """Turns a request into a ``Context``."""

    LAYER = 'auth'
    #: True if every request is accepted without proof of identity.  Such a service
    #: listens on loopback only, unless the operator sets ``allow_insecure_bind``.
    OPEN: ClassVar[bool] = False

    @abc.abstractmethod
    def identify(self, environ: MutableMapping[str, Any]) -> Context:
        """Identify the caller.

        Read headers only; the body must stay unread.  The core sets
        ``request_id`` and ``is_admin`` of the result, and compares roles without case.

        :param environ: the WSGI environment of the request.
        :raises Unauthenticated: there is no identity, or it is not valid.
        :raises Unavailable: the identity service does not answer.
        """
