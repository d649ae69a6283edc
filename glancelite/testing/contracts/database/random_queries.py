"""Random queries for databases; needs hypothesis (extra ``test``)."""

from __future__ import annotations

import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from glancelite import contract
from glancelite.contract import ImageQuery, Where
from glancelite.contract.query import OPERATORS, SORT_KEYS
from glancelite.testing.contracts.database.listing import (
    NAMES,
    PROJECTS,
    START,
    TAGS,
    VIEWERS,
    Population,
    populate,
    sort,
)

#: number of queries
QUERIES = 150

# without a codec, whose set of characters takes seconds to compute
_characters = st.characters(codec=None, exclude_categories=['Cs'])
_texts = st.sampled_from([name for name in NAMES if name]) | st.text(_characters, max_size=4)
_times = st.integers(-1, 60).map(lambda n: START + datetime.timedelta(seconds=n))
_values = {
    'name': _texts, 'owner': st.sampled_from(PROJECTS), 'id': st.text('0123456789abcdef-'),
    'status': st.sampled_from(contract.STATUSES), 'visibility': st.sampled_from(
        contract.VISIBILITIES), 'disk_format': st.sampled_from(('raw', 'qcow2', 'x')),
    'size': st.sampled_from((0, 1, 5, 1 << 40)) | st.integers(), 'min_disk': st.integers(-1, 4),
    'protected': st.booleans(), 'created_at': _times, 'updated_at': _times,
}


@st.composite
def _wheres(draw):
    field = draw(st.sampled_from(sorted(_values)))
    operator = draw(st.sampled_from(OPERATORS))
    value = _values[field]
    if operator == 'in':
        value = st.lists(value, max_size=4).map(tuple)
    return Where(field, operator, draw(value))


_sorts = st.lists(st.tuples(st.sampled_from(SORT_KEYS), st.sampled_from(('asc', 'desc'))),
                  max_size=3).map(lambda pairs: sort(*pairs))


class RandomQueriesContract:

    @pytest.fixture
    def database(self, host):
        raise NotImplementedError('override the `database` fixture')

    def test_agrees_with_the_contract_on_random_queries(self, database, host):
        crowd = populate(Population(database), host, amount=50, seed=7)
        queries = st.builds(
            ImageQuery, viewer=st.sampled_from(VIEWERS),
            visibility=st.sampled_from((None, 'all', *contract.VISIBILITIES)),
            member_status=st.sampled_from((*contract.MEMBER_STATUSES, 'all')),
            hidden=st.booleans(), where=st.lists(_wheres(), max_size=2).map(tuple),
            tags=st.frozensets(st.sampled_from(TAGS) | _texts, max_size=2),
            properties=st.dictionaries(st.sampled_from(('k', 'K')) | _texts,
                                       st.sampled_from(('1', '', 'é')) | _texts, max_size=1),
            sort=_sorts, after=st.none() | st.sampled_from(crowd.images),
            limit=st.none() | st.integers(0, 20))

        @hypothesis.settings(max_examples=QUERIES, deadline=None, derandomize=True,
                             database=None)
        @hypothesis.given(queries)
        def agrees(query):
            crowd.check(query)

        agrees()
