"""The URL of the database, with the driver that this plugin uses."""

from __future__ import annotations

import importlib
import logging
from typing import Any

import sqlalchemy as sa

from glancelite import contract

LOG = logging.getLogger(__name__)

#: backend -> driver of SQLAlchemy, module, extra of this package
DRIVERS = {'postgresql': ('psycopg', 'psycopg', 'postgresql'),
           'mysql': ('pymysql', 'pymysql', 'mysql'),
           'mariadb': ('pymysql', 'pymysql', 'mysql'),
           'sqlite': ('pysqlite', 'sqlite3', '')}


def driver_url(connection: str | None) -> sa.URL:
    """Return the URL with the driver that this plugin uses.

    :raises Misconfigured: it is invalid; the text contains no secret of it.
    """
    if not connection:
        raise contract.Misconfigured(
            '[database] connection must be set, such as '
            'postgresql://user:password@host/glance or sqlite:////var/lib/glance/glance.sqlite')
    try:
        url = sa.make_url(connection)
    except (sa.exc.ArgumentError, ValueError):  # the text may contain a part of the password
        raise contract.Misconfigured(
            '[database] connection is not a URL such as '
            'postgresql://user:password@host/database; in the password, write %40 for "@", '
            '%3A for ":" and %2F for "/"') from None
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise contract.Misconfigured(
            f'[database] connection: {backend} is not supported; use one of '
            f'{", ".join(sorted(DRIVERS))}')
    driver, module, extra = DRIVERS[backend]
    try:
        importlib.import_module(module)
    except ImportError:
        raise contract.Misconfigured(
            f'[database] connection: {backend} requires the library {module}: '
            f'install glancelite[{extra}]') from None
    if '+' in url.drivername and url.drivername != f'{backend}+{driver}':
        LOG.info('[database] connection: using the driver %s instead of %s', driver,
                 url.drivername)
    url = url.set(drivername=f'{backend}+{driver}')
    if module == 'pymysql':
        url = url.update_query_dict({'charset': 'utf8mb4'})
    return url


def is_in_memory(url: sa.URL) -> bool:
    """Return whether this is an SQLite database that exists in one connection only."""
    return url.get_backend_name() == 'sqlite' and (
        url.database in (None, '', ':memory:') or url.query.get('mode') == 'memory')


def with_timeouts(url: sa.URL, limits: Any, *, answer: int | None) -> sa.URL:
    """Return the URL with limits of time for the driver; those of the operator stay.

    :param limits: has ``connect_timeout`` and ``statement_timeout``.
    :param answer: seconds that PyMySQL waits for an answer, also in the handshake; None for
        any time.
    """
    given = {'connect_timeout': str(limits.connect_timeout)}
    if url.get_backend_name() == 'sqlite':
        return url
    if url.get_backend_name() == 'postgresql':
        given['tcp_user_timeout'] = f'{limits.statement_timeout}000'
    elif answer is not None:
        given |= {'read_timeout': str(answer), 'write_timeout': str(answer)}
    return url.update_query_dict({**given, **url.query})
