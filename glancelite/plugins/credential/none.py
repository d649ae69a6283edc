"""No identity service: the backend is open, or the driver has its own keys."""

from __future__ import annotations

from glancelite import contract


class NoCredential(contract.CredentialSource):
    """Has no credentials."""

    def open(self, ctx: contract.Context | None, *, long_running: bool = False) -> None:
        return None

    def health(self) -> str:
        return 'not needed'
