"""The layer ``key_manager``: certificates and encryption keys."""

from __future__ import annotations

import abc

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


class KeyManager(Plugin):
    """Reads certificates and deletes keys with the rights of the caller.

    Ids come from image properties, which users write: they may be any text.  Each
    method returns or raises one of the errors below within a minute, also for a caller
    without a token.  Many threads may ask at once.  ``repr`` and ``health()`` show no secret.
    """

    LAYER = 'key_manager'

    @abc.abstractmethod
    def certificate(self, ctx: Context, certificate_id: str) -> bytes:
        """Return an X.509 certificate in DER encoding, unchanged.

        :raises NotFound: no object has this id.
        :raises Forbidden: the caller may not read it.
        :raises Invalid: the object is not an X.509 certificate.
        :raises Unavailable: the key manager does not answer, or none is configured.
        """

    @abc.abstractmethod
    def delete(self, ctx: Context, key_id: str) -> None:
        """Delete a key permanently.

        :raises NotFound: no object has this id.
        :raises Forbidden: the caller may not delete it, or this cannot be determined.
        :raises Invalid: the object is not a key.
        :raises Unavailable: the key manager does not answer, or none is configured.
        """
