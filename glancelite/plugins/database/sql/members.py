"""Members in SQL."""

from __future__ import annotations

import sqlalchemy as sa

from glancelite import contract
from glancelite.contract.values import Member
from glancelite.plugins.database.sql import tables
from glancelite.plugins.database.sql.engine import Engine, Link, Statement
from glancelite.plugins.database.sql.rows import MEMBER, TEXT, member_of

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

    def add(self, image_id, member, *, status='pending'):
        missing = contract.NotFound(f'there is no image {image_id}')
        if not self._possible(image_id):
            raise missing
        values = self._values(image_id, member, status=status)
        lock, find, put = (self._statement(name) for name in ('lock', 'one', 'put'))

        def write(link: Link) -> None:
            # the unique key of Glance's table does not stop a second live row, the lock does
            if not link.rows(lock, values):
                raise missing
            if link.rows(find, values):
                raise contract.Conflict(
                    f'{member} is a member of image {image_id} already')
            link.run(put, values)

        self._engine.transaction(write)
        at = self._dialect.time_out(values['at'])
        return Member(image_id, member, status, at, at)

    def list(self, image_id):
        if not self._possible(image_id):
            return ()
        return tuple(member_of(row, self._dialect) for row in self._engine.rows(
            self._statement('all'), {'image_id': image_id}))

    def update(self, image_id, member, *, status):
        return self._change(image_id, member, 'change', status=status)

    def remove(self, image_id, member):
        return self._change(image_id, member, 'drop')

    def _change(self, image_id: str, member: str, statement: str, **more: str) -> Member:
        missing = contract.NotFound(f'{member} is no member of image {image_id}')
        if not (self._possible(image_id) and self._dialect.storable(member)):
            raise missing
        values = self._values(image_id, member, **more)
        find, clear, write = (self._statement(name) for name in ('one', 'clear', statement))
        leaving = statement == 'drop'

        def change(link: Link) -> Member:
            if leaving:
                link.run(clear, values)
            if not link.run(write, values):
                raise missing
            row, = link.rows(self._statement('left') if leaving else find, values)
            return member_of(row, self._dialect)

        return self._engine.transaction(change)

    def _values(self, image_id: str, member: str, **more: str) -> dict[str, object]:
        dialect = self._engine.known()
        return {'image_id': image_id, 'member': member, 'no': False, **more,
                'at': dialect.time_in(dialect.cut(self._host.now()))}

    def _possible(self, image_id: str) -> bool:
        return len(image_id) <= _i.id.type.length and self._engine.known().storable(image_id)

    def _statement(self, name: str) -> Statement:
        return self._engine.statement(('member', name), _STATEMENTS[name])


def _lock(dialect):
    return sa.select(_i.id).where(
        _i.id == _IMAGE, _i.deleted == sa.false()).with_for_update(key_share=True)


def _this(dialect, live=True):
    return [_m.image_id == _IMAGE, dialect.equal(_m.member, _MEMBER),
            dialect.live(tables.members) if live else sa.and_(
                _m.deleted == sa.true(), _m.deleted_at == _AT)]


_STATEMENTS = {
    'lock': _lock,
    'one': lambda dialect: sa.select(*MEMBER).where(*_this(dialect)),
    'left': lambda dialect: sa.select(*MEMBER).where(*_this(dialect, live=False)),
    'all': lambda dialect: sa.select(*MEMBER).where(
        _m.image_id == _IMAGE, dialect.live(tables.members)).order_by(_m.id),
    'put': lambda dialect: sa.insert(tables.members).inline().values(
        image_id=_IMAGE, member=_MEMBER, status=_STATUS, created_at=_AT, updated_at=_AT,
        can_share=sa.bindparam('no', type_=sa.Boolean),
        deleted=sa.bindparam('no', type_=sa.Boolean)),
    'change': lambda dialect: sa.update(tables.members).where(*_this(dialect)).values(
        status=_STATUS, updated_at=_AT),
    # who left at this very moment once before: the unique key has room for one of them
    'clear': lambda dialect: sa.delete(tables.members).where(*_this(dialect, live=False)),
    'drop': lambda dialect: sa.update(tables.members).where(*_this(dialect)).values(
        deleted=sa.true(), deleted_at=_AT, updated_at=_AT),
}
