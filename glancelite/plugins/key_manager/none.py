"""A cloud without a key manager."""

from __future__ import annotations

from glancelite import contract


class NoKeyManager(contract.KeyManager):
    """Has nothing."""

    def certificate(self, ctx, certificate_id):
        raise _nothing()

    def delete(self, ctx, key_id):
        raise _nothing()

    def health(self):
        return 'not needed'


def _nothing():
    return contract.Unavailable('This service has no key manager.')
