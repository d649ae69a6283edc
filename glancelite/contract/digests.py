"""Hashes that users give for data."""

from __future__ import annotations

import hashlib
import re

from glancelite.contract.errors import Invalid

#: values of ``os_hash_algo`` that a user may give
ALGORITHMS = ('sha1', 'sha256', 'sha512', 'md5')
_HEX = re.compile('(?:[0-9A-Fa-f]{2})*')


def parse_hash(algorithm: str, value: str, name: str = 'os_hash_value') -> str:
    """Return a hash value from a user in the form in which it is stored.

    :raises Invalid: it is not a hash value of this algorithm.

    Source: Image API v2, "Add location".
    """
    if _HEX.fullmatch(value) is None:
        raise Invalid(f'{name} ({value}) is not a valid hexadecimal value')
    size = hashlib.new(algorithm, usedforsecurity=False).digest_size
    if len(value) != 2 * size:
        raise Invalid(f'{name}: ({value}) is not the correct size for '
                      f'({algorithm}) (should be ({size}) bytes)')
    return value.lower()
