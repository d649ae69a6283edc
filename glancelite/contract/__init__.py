"""The contract between the service and its plugins: all that a plugin imports.

It needs the standard library only.  ``CONTRACT`` is its version.
"""

from glancelite.contract.auth import Authenticator
from glancelite.contract.context import Context
from glancelite.contract.credential import Credential, CredentialSource
from glancelite.contract.database import Database, ImageRecords, MemberRecords
from glancelite.contract.errors import (
    ERRORS_BY_CODE,
    Conflict,
    Error,
    Forbidden,
    Gone,
    InUse,
    Invalid,
    Misconfigured,
    NotFound,
    QuotaExceeded,
    RangeNotSatisfiable,
    ReadOnly,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unsupported,
    WrongContent,
)
from glancelite.contract.event import EVENTS, Event
from glancelite.contract.inspector import Inspection, Inspector
from glancelite.contract.key_manager import KeyManager
from glancelite.contract.location import LocationStrategy
from glancelite.contract.middleware import Middleware
from glancelite.contract.notifier import Notifier
from glancelite.contract.plugin import CONTRACT, Host, Plugin
from glancelite.contract.policy import PolicyEngine
from glancelite.contract.query import ImageQuery, Viewer, Where
from glancelite.contract.quota import QuotaEnforcer, QuotaRequest
from glancelite.contract.store import FileExtent, Store
from glancelite.contract.values import (
    EMPTY,
    IMAGE_FIELDS,
    MEMBER_STATUSES,
    STATUSES,
    VISIBILITIES,
    Image,
    Location,
    Member,
    Page,
    Usage,
    WriteResult,
)

#: name of a layer -> the class that its plugins subclass
LAYERS: dict[str, type[Plugin]] = {
    kind.LAYER: kind for kind in (
        Authenticator, PolicyEngine, QuotaEnforcer, Notifier, LocationStrategy, Inspector,
        Database, Store, CredentialSource, KeyManager, Middleware)
}

__all__ = [
    'CONTRACT',
    'EMPTY',
    'ERRORS_BY_CODE',
    'EVENTS',
    'IMAGE_FIELDS',
    'LAYERS',
    'MEMBER_STATUSES',
    'STATUSES',
    'VISIBILITIES',
    'Authenticator',
    'Conflict',
    'Context',
    'Credential',
    'CredentialSource',
    'Database',
    'Error',
    'Event',
    'FileExtent',
    'Forbidden',
    'Gone',
    'Host',
    'Image',
    'ImageQuery',
    'ImageRecords',
    'InUse',
    'Inspection',
    'Inspector',
    'Invalid',
    'KeyManager',
    'Location',
    'LocationStrategy',
    'Member',
    'MemberRecords',
    'Middleware',
    'Misconfigured',
    'NotFound',
    'Notifier',
    'Page',
    'Plugin',
    'PolicyEngine',
    'QuotaEnforcer',
    'QuotaExceeded',
    'QuotaRequest',
    'RangeNotSatisfiable',
    'ReadOnly',
    'Store',
    'TooLarge',
    'Unauthenticated',
    'Unavailable',
    'Unsupported',
    'Usage',
    'Viewer',
    'Where',
    'WriteResult',
    'WrongContent',
]
