"""Waiting connections are found by their deadline, without looking at all of them."""

import random
import types

import pytest

from glancelite.server.waiting import SPARE, Waiting


class Conn(types.SimpleNamespace):
    __hash__ = object.__hash__


@pytest.fixture
def waiting():
    return Waiting()


def test_the_earliest_deadline_comes_first_in_whatever_order_they_were_added(waiting):
    connections = [Conn(timeout=number) for number in range(50)]
    for conn in random.Random(1).sample(connections, 50):
        waiting.append(conn)

    assert waiting[0] is connections[0]
    assert [waiting.popleft() for _ in range(len(waiting))] == connections
    assert not waiting


def test_of_equal_deadlines_the_first_added_comes_first(waiting):
    connections = [Conn(timeout=float('inf')) for _ in range(5)]
    for conn in connections:
        waiting.append(conn)

    assert [waiting.popleft() for _ in range(5)] == connections


def test_a_removed_connection_is_gone_until_it_is_added_again(waiting):
    early, late = Conn(timeout=1), Conn(timeout=2)
    waiting.append(early)
    waiting.append(late)
    waiting.remove(early)
    assert (len(waiting), waiting[0]) == (1, late)

    early.timeout = 3
    waiting.append(early)

    assert [waiting.popleft(), waiting.popleft()] == [late, early]


def test_connections_that_come_and_go_leave_nothing(waiting):
    conn = Conn(timeout=0)
    for number in range(10_000):
        conn.timeout = number
        waiting.append(conn)
        waiting.remove(conn)

    assert len(waiting._heap) <= SPARE + 1


def test_a_limit_keeps_earlier_deadlines(waiting):
    connections = [Conn(timeout=number) for number in (5, 1, 9)]
    for conn in connections:
        waiting.append(conn)

    waiting.limit(4)
    waiting.append(last := Conn(timeout=6))

    assert [conn.timeout for conn in connections] == [4, 1, 4]
    assert [waiting.popleft().timeout for _ in range(3)] == [1, 4, 4]
    assert waiting[0] is last
