"""Errors, named by their meaning for the caller."""

from __future__ import annotations


class Error(Exception):
    """The base of all errors that plugins raise for the core to handle.

    ``code`` is part of the contract and never changes; the text may.
    ``details`` are JSON-ready values that a client may show.  End users read the
    text: it must not contain secrets, paths or addresses of backends.
    """

    code = 'error'

    def __init__(self, message: str, **details: object):
        super().__init__(message)
        self.details = details


class Invalid(Error):
    """The request is malformed, or a value breaks a rule."""

    code = 'invalid'


class Unsupported(Invalid):
    """The plugin lacks this capability; see ``CAPABILITIES``."""

    code = 'unsupported'


class Unauthenticated(Error):
    """The caller could not be identified.

    ``challenge`` is the value of the ``WWW-Authenticate`` header, if any.
    """

    code = 'unauthenticated'

    def __init__(self, message: str, *, challenge: str | None = None, **details: object):
        super().__init__(message, **details)
        self.challenge = challenge


class Forbidden(Error):
    """The caller is known, but not allowed to do this."""

    code = 'forbidden'


class NotFound(Error):
    """The object does not exist, or the caller may not see it."""

    code = 'not_found'


class Conflict(Error):
    """The state of the object does not allow this operation."""

    code = 'conflict'


class InUse(Conflict):
    """The data is still used, for example by a clone of a snapshot."""

    code = 'in_use'


class Gone(Error):
    """The object was deleted during the operation."""

    code = 'gone'


class ReadOnly(Gone):
    """The store does not accept data; the Image API answers 410."""

    code = 'read_only'


class TooLarge(Error):
    """A limit or the capacity of a backend is exceeded."""

    code = 'too_large'


class QuotaExceeded(TooLarge):
    """A quota of the project or the image is exceeded."""

    code = 'quota_exceeded'


class WrongContent(Error):
    """The data or its media type does not match what was declared."""

    code = 'wrong_content'


class RangeNotSatisfiable(Error):
    """The requested range is outside the image; ``size`` is the image size in bytes."""

    code = 'range_not_satisfiable'

    def __init__(self, message: str, *, size: int, **details: object):
        super().__init__(message, size=size, **details)
        self.size = size


class Unavailable(Error):
    """A backend does not answer, or rejects the service; a retry may succeed."""

    code = 'unavailable'


class Misconfigured(Exception):
    """The service cannot start with this configuration.

    The text is one line that says which value would be right.
    """


def _by_code(kind: type[Error]) -> dict[str, type[Error]]:
    found = {kind.code: kind}
    for sub in kind.__subclasses__():
        found.update(_by_code(sub))
    return found


ERRORS_BY_CODE = _by_code(Error)
