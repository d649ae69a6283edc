"""Rules for the names of custom properties and for the values that can be stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from glancelite.contract import errors

RESERVED = frozenset({'location', 'deleted', 'deleted_at'})
RESERVED_PREFIX = 'os_glance'

#: properties for the service's own use; they are never shown
HIDDEN = frozenset({'os_glance_stage_host', 'os_glance_hash_op_host', 'os_glance_staged'})

#: property with the reason why the image did not get the data at the location that was added
LOCATION_FAILURE = 'os_glance_location_failure'

NAME_LIMIT = 255
#: bytes in UTF-8; MySQL stores no more, and longer values make the index of SQLite slow
VALUE_LIMIT = 65535
INTEGER_LIMIT = 2147483647

#: field -> its unit; both are stored in 32 bits
REQUIREMENTS: Mapping[str, str] = MappingProxyType({'min_disk': 'GiB', 'min_ram': 'MiB'})

# Characters beyond the basic plane; surrogates, which are not characters; and NUL,
# which PostgreSQL does not store.
_UNSTORABLE = re.compile('[\U00010000-\U0010ffff\ud800-\udfff\0]')


def check_name(name: str) -> None:
    """Check the name of a custom property that a caller sets.

    :raises Invalid: it is empty or longer than 255 characters.
    :raises Forbidden: it is reserved for the service.
    """
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise errors.Forbidden(f"Attribute '{name}' is reserved.")
    if not 0 < len(name) <= NAME_LIMIT:
        raise errors.Invalid('The name of a custom property must have 1 to 255 characters; '
                             f'this one has {len(name)}.')


def count_for_quota(names: Iterable[str]) -> int:
    """Return how many of these custom properties count against the quota."""
    return sum(not name.startswith(RESERVED_PREFIX) for name in names)


def with_location_failure(properties: Mapping[str, str], reason: str) -> dict[str, str]:
    """Return the properties of an image with the reason of a failure, for its users."""
    text = reason.encode('ascii', 'backslashreplace').decode()      # every database keeps it
    return {**properties, LOCATION_FAILURE: text[:1000]}


def without_location_failure(properties: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the change of an image that removes such a reason; empty if there is none."""
    if LOCATION_FAILURE not in properties:
        return {}
    return {'properties': {name: value for name, value in properties.items()
                           if name != LOCATION_FAILURE}}


def check_text(what: str, text: str) -> None:
    """Check that a text can be stored.

    Characters of four bytes in UTF-8 are refused, since a database that Glance
    created on MySQL cannot hold them.

    :param what: what the text is, for the error.
    :raises Invalid: it cannot be stored; the message names the character.
    """
    if text.isascii() and '\0' not in text:
        return
    if match := _UNSTORABLE.search(text):
        raise errors.Invalid(f'{what} must not contain the character U+{ord(match[0]):04X}: '
                             'only characters of up to three bytes in UTF-8, without NUL, are '
                             'allowed.')


def check_values(fields: Mapping[str, object], properties: Mapping[str, str]) -> None:
    """Check that values that conform to the schema can be stored.

    :param fields: field of ``contract.Image`` -> new value.
    :param properties: new custom properties.
    :raises Invalid: text with a character that cannot be stored; a property with
        more than 65535 bytes; ``min_disk`` or ``min_ram`` below 0 or above 2147483647.
    """
    for name, value in fields.items():
        if isinstance(value, str):
            check_text(f"'{name}'", value)
        elif name in REQUIREMENTS:
            _check_requirement(name, value)
        elif name == 'tags':
            for tag in value:  # type: ignore[attr-defined]
                check_text('A tag', tag)
    for name, value in properties.items():
        check_text('The name of a custom property', name)
        check_text(f"'{name}'", value)
        if len(value) > VALUE_LIMIT // 3 and len(value.encode()) > VALUE_LIMIT:
            raise errors.Invalid(f"'{name}' must not be longer than {VALUE_LIMIT} bytes.")


def _check_requirement(name: str, value: object) -> None:
    if not 0 <= value <= INTEGER_LIMIT:  # type: ignore[operator]
        raise errors.Invalid(f"'{name}' must be between 0 and {INTEGER_LIMIT} "
                             f'{REQUIREMENTS[name]}, not {value}.')
