"""What can go wrong, named by what it means to the caller."""

from __future__ import annotations


class Error(Exception):
    """A failure with a meaning.

    ``code`` is part of the contract and never changes; the text may.
    ``details`` holds JSON-ready facts that a client may show.  The text is
    shown to end users: no secrets, no paths, no addresses of backends.
    """

    code = 'error'

    def __init__(self, message: str, **details: object):
        super().__init__(message)
        self.details = details


class Invalid(Error):
    """The request cannot be understood or breaks a rule of the data."""

    code = 'invalid'


class Unsupported(Invalid):
    """The plugin does not have this ability; see its ``CAPABILITIES``."""

    code = 'unsupported'


class Unauthenticated(Error):
    """Nobody knows who is calling.

    ``challenge`` is the value of the ``WWW-Authenticate`` header, if the
    authenticator has one to offer.
    """

    code = 'unauthenticated'

    def __init__(self, message: str, *, challenge: str | None = None, **details: object):
        super().__init__(message, **details)
        self.challenge = challenge


class Forbidden(Error):
    """The caller is known and may not do this."""

    code = 'forbidden'


class NotFound(Error):
    """There is no such thing, or none that the caller may know of."""

    code = 'not_found'


class Conflict(Error):
    """The thing is not in the state that this operation starts from."""

    code = 'conflict'


class InUse(Conflict):
    """Somebody else still builds on the data, such as a clone of a snapshot."""

    code = 'in_use'


class Gone(Error):
    """The thing went away while we were working on it."""

    code = 'gone'


class ReadOnly(Gone):
    """This store takes no data; the Image API says so with 410."""

    code = 'read_only'


class TooLarge(Error):
    """More than a limit or a backend allows."""

    code = 'too_large'


class QuotaExceeded(TooLarge):
    """The project, or the image, has used up what it may have."""

    code = 'quota_exceeded'


class WrongContent(Error):
    """The bytes, or the media type, are not what they are said to be."""

    code = 'wrong_content'


class RangeNotSatisfiable(Error):
    """The part asked for lies outside the image; ``size`` is its length in bytes."""

    code = 'range_not_satisfiable'

    def __init__(self, message: str, *, size: int, **details: object):
        super().__init__(message, size=size, **details)
        self.size = size


class Unavailable(Error):
    """A backend does not answer, or refuses us; later may be better."""

    code = 'unavailable'


class Misconfigured(Exception):
    """The service must not start with this configuration.

    The text is one line which says what would have been right.
    """


def _meanings(kind: type[Error]) -> dict[str, type[Error]]:
    found = {kind.code: kind}
    for sub in kind.__subclasses__():
        found.update(_meanings(sub))
    return found


BY_CODE = _meanings(Error)
