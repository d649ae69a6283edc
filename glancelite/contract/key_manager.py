"""The layer ``key_manager``: where the cloud keeps certificates and keys."""

from __future__ import annotations

import abc

from glancelite.contract.context import Context
from glancelite.contract.plugin import Plugin


class KeyManager(Plugin):
    """Fetches certificates and removes keys, with the rights of the caller.

    The ids come from the properties of images, so users have written them: whatever they are,
    the answer is one of the errors here, within a minute.
    """

    LAYER = 'key_manager'

    @abc.abstractmethod
    def certificate(self, ctx: Context, certificate_id: str) -> bytes:
        """An X.509 certificate, in DER.

        :raises NotFound: there is nothing of this id.
        :raises Forbidden: not for this caller.
        :raises Invalid: what is there is no such certificate.
        :raises Unavailable: the key manager does not answer, or there is none.
        """

    @abc.abstractmethod
    def delete(self, ctx: Context, key_id: str) -> None:
        """Remove a key for good.

        :raises NotFound: there is nothing of this id.
        :raises Forbidden: not by this caller, or nobody knows whether he may.
        :raises Invalid: what is there is no key.
        :raises Unavailable: the key manager does not answer, or there is none.
        """
