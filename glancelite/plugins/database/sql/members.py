"""Members in SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from glancelite import contract
from glancelite.contract.values import Member
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.connection import Connection, Statement
from glancelite.plugins.database.sql.dialects import Dialect
from glancelite.plugins.database.sql.engine import Engine
from glancelite.plugins.database.sql.rows import MEMBER, TEXT, image_id_is_possible, member_of

_i, _m = tables.images.c, tables.members.c
_TIME = sa.DateTime()
_AT = sa.bindparam('at', type_=_TIME)
_IMAGE = sa.bindparam('image_id', type_=TEXT)
_STATUS = sa.bindparam('status', type_=TEXT)
_MEMBER = sa.bindparam('member', type_=TEXT)


class SQLMembers(contract.MemberRecords):

    def __init__(self, engine: Engine, host: contract.Host):
        self._engine = engine
        self._dialect = engine.dialect
        self._host = host

    def add(self, image_id: str, member: str, *, status: str = 'pending') -> Member:
        not_found = contract.NotFound(f'No image found with ID {image_id}')
        if not self._is_possible(image_id):
            raise not_found
        values = self._values(image_id, member, status=status)
        lock, select, insert = (self._statement(name) for name in (
            'lock_image', 'select', 'insert'))

        def write(connection: Connection) -> None:
            # the unique key of Glance's table does not prevent a second live row, the lock does
            if not connection.rows(lock, values):
                raise not_found
            if connection.rows(select, values):
                raise contract.Conflict(
                    f'{member} is a member of image {image_id} already')
            connection.run(insert, values)

        self._engine.transaction(write)
        at = self._dialect.parse_time(values['at'])
        return Member(image_id, member, status, at, at)

    def list(self, image_id: str) -> Sequence[Member]:
        if not self._is_possible(image_id):
            return ()
        return tuple(member_of(row, self._dialect) for row in self._engine.rows(
            self._statement('select_all'), {'image_id': image_id}))

    def update(self, image_id: str, member: str, *, status: str) -> Member:
        return self._change(image_id, member, ('update',), 'select', status=status)

    def remove(self, image_id: str, member: str) -> Member:
        return self._change(image_id, member, ('forget_removed', 'remove'), 'select_removed')

    def _change(self, image_id: str, member: str, writes: Sequence[str], read: str,
                **more: str) -> Member:
        """Run statements by name; the last of ``writes`` decides whether there is a member."""
        not_found = contract.NotFound(f'{member} is no member of image {image_id}')
        if not (self._is_possible(image_id) and self._dialect.storable(member)):
            raise not_found
        values = self._values(image_id, member, **more)
        statements = [self._statement(name) for name in writes]
        select = self._statement(read)

        def change(connection: Connection) -> Member:
            affected = 0
            for statement in statements:
                affected = connection.run(statement, values)
            if not affected:
                raise not_found
            row, = connection.rows(select, values)
            return member_of(row, self._dialect)

        return self._engine.transaction(change)

    def _values(self, image_id: str, member: str, **more: str) -> dict[str, object]:
        dialect = self._engine.ready_dialect()
        return {'image_id': image_id, 'member': member, 'no': False, **more,
                'at': dialect.bind_time(dialect.truncate(self._host.now()))}

    def _is_possible(self, image_id: str) -> bool:
        return image_id_is_possible(image_id, self._engine)

    def _statement(self, name: str) -> Statement:
        return self._engine.statement(('member', name), _STATEMENTS[name])


def _lock_image(dialect: Dialect) -> Any:
    return sa.select(_i.id).where(
        _i.id == _IMAGE, _i.deleted == sa.false()).with_for_update(key_share=True)


def _this(dialect: Dialect) -> list[Any]:
    return [_m.image_id == _IMAGE, _m.member == _MEMBER,
            dialect.live(tables.members)]


def _removed_now(dialect: Dialect) -> list[Any]:
    return [_m.image_id == _IMAGE, _m.member == _MEMBER,
            sa.and_(_m.deleted == sa.true(), _m.deleted_at == _AT)]


_STATEMENTS: Mapping[str, Callable[[Dialect], Any]] = {
    'lock_image': _lock_image,
    'select': lambda dialect: sa.select(*MEMBER).where(*_this(dialect)),
    'select_removed': lambda dialect: sa.select(*MEMBER).where(*_removed_now(dialect)),
    'select_all': lambda dialect: sa.select(*MEMBER).where(
        _m.image_id == _IMAGE, dialect.live(tables.members)).order_by(_m.id),
    'insert': lambda dialect: sa.insert(tables.members).inline().values(
        image_id=_IMAGE, member=_MEMBER, status=_STATUS, created_at=_AT, updated_at=_AT,
        can_share=sa.bindparam('no', type_=sa.Boolean),
        deleted=sa.bindparam('no', type_=sa.Boolean)),
    'update': lambda dialect: sa.update(tables.members).where(*_this(dialect)).values(
        status=_STATUS, updated_at=_AT),
    # the unique key allows one row per member and deletion time, so a row that was removed
    # at this very moment must be deleted first
    'forget_removed': lambda dialect: sa.delete(tables.members).where(*_removed_now(dialect)),
    'remove': lambda dialect: sa.update(tables.members).where(*_this(dialect)).values(
        deleted=sa.true(), deleted_at=_AT, updated_at=_AT),
}
