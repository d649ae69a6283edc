"""The layer ``auth``: who is calling?"""

from __future__ import annotations

import abc
from collections.abc import MutableMapping
from typing import Any, ClassVar

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


class Authenticator(Plugin):
    """Turns a request into a ``Context``."""

    LAYER = 'auth'
    #: True if anybody who reaches the port gets in: such a service listens on
    #: loopback only, unless the operator insists.
    OPEN: ClassVar[bool] = False

    @abc.abstractmethod
    def identify(self, environ: MutableMapping[str, Any]) -> Context:
        """The caller of a WSGI request.

        Headers only: the body must stay untouched.  ``request_id`` and
        ``is_admin`` of the result are filled in by the core.

        :raises Unauthenticated: no identity, or a false one.
        :raises Unavailable: the identity service does not answer.
        """
