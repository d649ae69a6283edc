"""What plugins and vendors import: the treaty between the service and its parts.

Standard library only.  ``CONTRACT`` is its version.
"""

from glancelite.contract.auth import Authenticator
from glancelite.contract.context import Context
from glancelite.contract.credential import Credential, CredentialSource
from glancelite.contract.database import Database, ImageRecords, MemberRecords
from glancelite.contract.errors import (
    BY_CODE,
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
from glancelite.contract.inspector import Inspector, Tap
from glancelite.contract.key_manager import KeyManager
from glancelite.contract.location import LocationStrategy
from glancelite.contract.middleware import Middleware
from glancelite.contract.notifier import Notifier
from glancelite.contract.plugin import CONTRACT, Host, Plugin
from glancelite.contract.policy import PolicyEngine
from glancelite.contract.query import ImageQuery, Viewer, Where
from glancelite.contract.quota import Ask, QuotaEnforcer
from glancelite.contract.store import FileExtent, Store
from glancelite.contract.values import (
    IMAGE_FIELDS,
    MEMBER_STATUSES,
    NOTHING,
    STATUSES,
    VISIBILITIES,
    Image,
    Location,
    Member,
    Page,
    Usage,
    Written,
)

#: layer -> the class that its plugins subclass
LAYERS: dict[str, type[Plugin]] = {
    kind.LAYER: kind for kind in (
        Authenticator, PolicyEngine, QuotaEnforcer, Notifier, LocationStrategy, Inspector,
        Database, Store, CredentialSource, KeyManager, Middleware)
}

__all__ = [
    'BY_CODE', 'CONTRACT', 'EVENTS', 'IMAGE_FIELDS', 'LAYERS', 'MEMBER_STATUSES', 'NOTHING',
    'STATUSES', 'VISIBILITIES', 'Ask', 'Authenticator', 'Conflict', 'Context', 'Credential',
    'CredentialSource', 'Database', 'Error', 'Event', 'FileExtent', 'Forbidden', 'Gone', 'Host',
    'Image', 'ImageQuery', 'ImageRecords', 'InUse', 'Inspector', 'Invalid', 'KeyManager',
    'Location', 'LocationStrategy', 'Member', 'MemberRecords', 'Middleware', 'Misconfigured',
    'NotFound', 'Notifier', 'Page', 'Plugin', 'PolicyEngine', 'QuotaEnforcer', 'QuotaExceeded',
    'RangeNotSatisfiable', 'ReadOnly', 'Store', 'Tap', 'TooLarge', 'Unauthenticated',
    'Unavailable', 'Unsupported', 'Usage', 'Viewer', 'Where', 'Written', 'WrongContent',
]
