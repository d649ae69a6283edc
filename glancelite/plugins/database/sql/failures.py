"""Why the database cannot be used, in words without addresses, names and secrets.

The drivers give no codes for most failures to connect, so their texts are searched.
"""

from __future__ import annotations

import re

SILENT = 'the database does not answer'
LATE = f'{SILENT}: no answer in time'
REJECTED = 'the database rejected a statement'
#: texts of libpq, PyMySQL, SQLite and the system -> what they mean for the operator
_REASONS = tuple((re.compile(pattern, re.IGNORECASE), meaning) for pattern, meaning in (
    (r'password authentication failed|no password supplied|^\(?1045\b|^\(?1698\b'
     r'|access denied .*using password|role ".*" does not exist|authentication failed',
     'the database rejects the user name or the password of [database] connection'),
    (r'no pg_hba\.conf entry|is not allowed to connect',
     'the database admits no connections of this user from this node'),
    (r'database ".*" does not exist|unknown database',
     'the database server has no database of this name; see [database] connection'),
    (r'permission denied|command denied|access denied .*to database|must be owner',
     'the database user lacks rights there'),
    (r'too many (clients|connections)|connection slots',
     'the database accepts no more connections'),
    (r'is starting up|is shutting down|server shutdown in progress',
     'the database is starting or stopping'),
    (r'connection refused', f'{SILENT}: connection refused'),
    (r'translate host name|name or service not known|no address associated|name resolution'
     r'|resolve host', f'{SILENT}: its host name is unknown'),
    (r'no route to host|network is unreachable', f'{SILENT}: there is no route to it'),
    (r'timeout|timed out|max_statement_time', LATE),
    (r'unable to open database file|readonly database',
     'the database file cannot be opened or written; see [database] connection'),
    (r'disk is full|no space left', 'the disk of the database is full'),
))


def reason(error: BaseException, otherwise: str = SILENT) -> str:
    """Return what ``error`` of a driver means.

    :param otherwise: the answer for an error that is not known.
    """
    text = str(error)
    for pattern, meaning in _REASONS:
        if pattern.search(text):
            return meaning
    return otherwise
