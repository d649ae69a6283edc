"""The contract between the service and its plugins: all that a plugin imports.

It needs the standard library only.  ``CONTRACT`` is its version.
"""

from glancelite.contract.auth import Authenticator
from glancelite.contract.context import Context
from glancelite.contract.credential import Credential, CredentialSource
from glancelite.contract.database import (
    Database,
    ImageRecords,
    MemberRecords,
    MetadefRecords,
    TaskRecords,
)
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
from glancelite.contract.executor import Executor, Work
from glancelite.contract.importer import Importer
from glancelite.contract.inspector import Inspection, Inspector
from glancelite.contract.job import Job
from glancelite.contract.key_manager import KeyManager
from glancelite.contract.location import LocationStrategy
from glancelite.contract.metadef import (
    Association,
    DefinedObject,
    DefinedProperty,
    DefinedTag,
    Definition,
    Namespace,
    NamespaceQuery,
    ResourceType,
)
from glancelite.contract.middleware import Middleware
from glancelite.contract.notifier import Notifier
from glancelite.contract.plugin import CONTRACT, Host, Plugin
from glancelite.contract.policy import PolicyEngine
from glancelite.contract.query import ImageQuery, TaskQuery, Viewer, Where
from glancelite.contract.quota import QuotaEnforcer, QuotaRequest
from glancelite.contract.step import Step
from glancelite.contract.store import FileExtent, Store
from glancelite.contract.values import (
    EMPTY,
    IMAGE_FIELDS,
    MEMBER_STATUSES,
    STATUSES,
    TASK_FIELDS,
    TASK_STATUSES,
    VISIBILITIES,
    Image,
    Location,
    Member,
    Page,
    Task,
    Usage,
    WriteResult,
)

#: name of a layer -> the class that its plugins subclass
LAYERS: dict[str, type[Plugin]] = {
    kind.LAYER: kind for kind in (
        Authenticator, PolicyEngine, QuotaEnforcer, Notifier, LocationStrategy, Inspector,
        Database, Store, CredentialSource, KeyManager, Middleware, Importer, Step, Executor)
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
    'TASK_FIELDS',
    'TASK_STATUSES',
    'VISIBILITIES',
    'Association',
    'Authenticator',
    'Conflict',
    'Context',
    'Credential',
    'CredentialSource',
    'Database',
    'DefinedObject',
    'DefinedProperty',
    'DefinedTag',
    'Definition',
    'Error',
    'Event',
    'Executor',
    'FileExtent',
    'Forbidden',
    'Gone',
    'Host',
    'Image',
    'ImageQuery',
    'ImageRecords',
    'Importer',
    'InUse',
    'Inspection',
    'Inspector',
    'Invalid',
    'Job',
    'KeyManager',
    'Location',
    'LocationStrategy',
    'Member',
    'MemberRecords',
    'MetadefRecords',
    'Middleware',
    'Misconfigured',
    'Namespace',
    'NamespaceQuery',
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
    'ResourceType',
    'Step',
    'Store',
    'Task',
    'TaskQuery',
    'TaskRecords',
    'TooLarge',
    'Unauthenticated',
    'Unavailable',
    'Unsupported',
    'Usage',
    'Viewer',
    'Where',
    'Work',
    'WriteResult',
    'WrongContent',
]
