"""How MariaDB and MySQL compare the texts in our tables.

Glance creates its tables with the default of the server, which ignores case, accents and
trailing blanks, and often has no characters of four bytes.  There two properties
``Keep`` and ``keep`` are one, and the second write replaces the first.  The tables are
converted to compare exactly; Glance can use them as before, because its code names no
collation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

#: those that compare by code point, trailing blanks included; the first one of MariaDB
EXACT = ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin')
#: table -> its foreign key, and the table that this refers to
DEPENDENT = {
    **dict.fromkeys(('image_properties', 'image_tags', 'image_locations', 'image_members'),
                    ('image_id', 'images')),
    'task_info': ('task_id', 'tasks')}
#: keys of these are numbers, which a conversion leaves alone
METADEFS = ('metadef_namespaces', 'metadef_resource_types', 'metadef_namespace_resource_types',
            'metadef_objects', 'metadef_properties', 'metadef_tags')
TABLES = ('images', 'tasks', *DEPENDENT, *METADEFS)


def inexact_tables(rows: Callable[[str], Any]) -> list[str]:
    """Return the tables that compare texts in another way.

    :param rows: executes a query of MariaDB or MySQL and returns all rows.
    """
    return [name for name, in rows(
        'SELECT DISTINCT table_name FROM information_schema.columns'  # noqa: S608 - constants
        f' WHERE table_schema = DATABASE() AND table_name IN {TABLES}'
        f' AND collation_name NOT IN {EXACT} ORDER BY table_name')]


def inexact_tables_of(connection: sa.Connection) -> list[str]:
    """As ``inexact_tables``, of any database."""
    if connection.dialect.name not in ('mysql', 'mariadb'):
        return []
    return inexact_tables(lambda sql: connection.exec_driver_sql(sql).fetchall())


def convert(connection: sa.Connection) -> list[str]:
    """Convert the tables where needed; return their names.  The server copies each one.

    It commits every step, so the next call completes what an interrupted one has begun.
    """
    tables = inexact_tables_of(connection)
    if not tables and not _without_key(connection):
        return []
    exact = EXACT[not connection.dialect.is_mariadb]  # type: ignore[attr-defined]
    for table, key in _keys(connection).items() if tables else ():
        # both ends of a key have the same collation, at any time
        connection.exec_driver_sql(f'ALTER TABLE {table} DROP FOREIGN KEY `{key}`')
    for table in tables:
        connection.exec_driver_sql(
            # old tables may have a format whose indexes are too short for utf8mb4
            f'ALTER TABLE {table} ROW_FORMAT = DYNAMIC,'
            f' CONVERT TO CHARACTER SET utf8mb4 COLLATE {exact}')
    for table in _without_key(connection):
        column, parent = DEPENDENT[table]
        connection.exec_driver_sql(
            f'ALTER TABLE {table} ADD CONSTRAINT {table}_ibfk_1'
            f' FOREIGN KEY ({column}) REFERENCES {parent} (id)')
    return tables


def _keys(connection: sa.Connection) -> dict[str, str]:
    """Return table -> name of its foreign key, for those that have one."""
    return {table: key['name'] or '' for table, (_, parent) in DEPENDENT.items()
            for key in sa.inspect(connection).get_foreign_keys(table)
            if key['referred_table'] == parent}


def _without_key(connection: sa.Connection) -> list[str]:
    if connection.dialect.name not in ('mysql', 'mariadb'):
        return []
    return [table for table in DEPENDENT if table not in _keys(connection)]
