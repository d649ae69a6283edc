"""The number of statements of a call does not depend on the number of records."""

import uuid

import pytest

from glancelite.contract import ImageQuery, Location, NotFound, TaskQuery, Viewer
from glancelite.testing.contracts.database.tasks import KIND, LONG, claim, claimed, finished, new
from glancelite.testing.contracts.database.values import BEGINNING, END, rich


@pytest.fixture(params=['one_sqlite', 'one_postgres', 'one_mariadb'])
def database(request, emptied):
    return emptied(request.getfixturevalue(request.param))


@pytest.fixture
def count(statements):
    """Calls two functions and counts the statements of the second."""
    def run(first, second):
        first()
        statements.clear()
        second()
        return len(statements)
    return run


def many(amount, **fields):
    return rich(tags=tuple(f't{n}' for n in range(amount)),
                properties={f'k{n}': 'v' for n in range(amount)},
                locations=tuple(Location(f'u:{n}') for n in range(amount)), **fields)


@pytest.mark.parametrize('amount', [1, 50])
def test_reading_is_one_statement(database, count, amount):
    one = database.images.add(many(amount))
    for _ in range(amount):
        database.images.add(many(amount))
        database.members.add(one.id, str(uuid.uuid4()))

    def show():
        assert database.images.get(one.id, viewer=Viewer('p')) == one

    def page():
        assert len(database.images.list(ImageQuery(Viewer('p'), limit=100)).items) == amount + 1

    assert count(show, show) == 1
    assert count(page, page) == 1
    assert count(*2 * [lambda: database.images.usage('p')]) == 1
    assert count(*2 * [lambda: database.members.list(one.id)]) == 1


@pytest.mark.parametrize('amount', [2, 50])
def test_writing_is_a_few_statements(database, count, amount):
    images = database.images
    bare = rich(tags=(), properties={}, locations=())
    both_ends = 2       # BEGIN and COMMIT

    assert count(lambda: images.add(rich()), lambda: images.add(bare)) == 1
    assert count(*2 * [lambda: images.add(many(amount))]) == both_ends + 4
    first, second = images.add(many(amount)), images.add(many(amount))
    change = {'name': 'n', 'status': 'deactivated'}
    assert count(lambda: images.update(first, change),
                 lambda: images.update(second, change)) == 1
    first, second = images.add(many(amount)), images.add(many(amount))
    other = {'tags': ('x',), 'properties': {'x': 'y'}, 'locations': ()}
    assert count(lambda: images.update(first, other), lambda: images.update(
        second, other)) == both_ends + 6
    first, second = images.add(many(amount)), images.add(many(amount))
    assert count(lambda: images.delete(first, pending=False),
                 lambda: images.delete(second, pending=False)) == both_ends + 7
    ids = [images.add(rich(status='saving')).id for _ in range(amount)]
    assert count(*2 * [lambda: images.renew_leases(ids, until=first.created_at)]) == 1
    assert count(*2 * [lambda: images.unfinished(
        now=first.created_at, deleted_before=first.created_at)]) == 2


def test_an_id_that_is_not_found_is_looked_up_in_each_form(database, count):
    def ask(image_id):
        with pytest.raises(NotFound):
            database.images.get(image_id, viewer=Viewer('p'))

    assert count(*2 * [lambda: ask('abcdef00-1234-4abc-8def-00000000000a')]) == 2
    assert count(*2 * [lambda: ask('aBcdef00-1234-4abc-8def-00000000000a')]) == 3
    assert count(*2 * [lambda: ask('12345678-1234-4123-8123-000000000001')]) == 1


def test_a_change_of_the_status_is_one_statement(database, count):
    first, second = database.images.add(rich()), database.images.add(rich())

    assert count(*[lambda image=image: database.images.update(
        image, {'status': 'deactivated', 'size': 7}, status={'active'})
        for image in (first, second)]) == 1


def test_an_impossible_query_executes_no_statement(database, count):
    query = ImageQuery(Viewer('p'), visibility='no such')

    assert count(*2 * [lambda: database.images.list(query)]) == 0


@pytest.mark.parametrize('amount', [1, 40])
def test_calls_for_tasks_are_a_few_statements(database, count, amount):
    tasks, both_ends = database.tasks, 2
    held = [claimed(tasks) for _ in range(amount)]
    waiting = [tasks.add(new()) for _ in range(4)]

    def page():
        assert len(tasks.list(TaskQuery(BEGINNING, types=(KIND,), limit=100)).items) > amount

    assert count(page, page) == 1
    assert count(*2 * [lambda: tasks.get(held[0].id)]) == 1
    assert count(*2 * [lambda: tasks.renew(held, seconds=LONG)]) == 2
    assert count(*2 * [lambda: tasks.add(new(not_before=END))]) == both_ends + 2
    assert count(*2 * [lambda: claim(tasks)]) == 1 + both_ends + 2
    assert count(*2 * [lambda: claim(tasks, types=('none',))]) == 1
    assert count(*2 * [lambda: tasks.cancel(waiting[3].id)]) == both_ends + 2
    assert count(*2 * [lambda: tasks.update(held[0], {'node': 'n'})]) == both_ends + 2
    assert count(*2 * [lambda: tasks.update(held[0], {
        'progress': {'bytes': 1}, 'message': 'm'})]) == both_ends + 3

    def purge():
        for _ in range(amount):
            finished(tasks, expires_at=BEGINNING)
        return tasks

    purge()
    tasks.purge(expired_before=END)
    purge()
    assert count(lambda: None, lambda: tasks.purge(expired_before=END)) == 1 + both_ends + 3
