"""No key manager."""

from __future__ import annotations

from glancelite import contract


class NoKeyManager(contract.KeyManager):
    """Has no keys and no certificates."""

    def certificate(self, ctx: contract.Context, certificate_id: str) -> bytes:
        raise _unavailable()

    def delete(self, ctx: contract.Context, key_id: str) -> None:
        raise _unavailable()

    def health(self) -> str:
        return 'not needed'


def _unavailable() -> contract.Unavailable:
    return contract.Unavailable('This service has no key manager.')
