"""The connections that wait for their clients."""

from __future__ import annotations

import heapq

from glancelite.server.connection import Connection

SPARE = 64      # entries that are kept for connections which do not wait any more


class Waiting:
    """Connections in the order of their deadlines, which they have in ``timeout``.

    It has those methods of a deque that gunicorn's worker uses, and none of them looks at
    all connections.  A client that sends a byte from time to time keeps its deadline, so
    the connections do not come in the order in which they were added.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Connection]] = []
        self._numbers: dict[Connection, int] = {}       # of their entries in the heap
        self._last = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def append(self, conn: Connection) -> None:
        self._last += 1
        self._numbers[conn] = self._last
        heapq.heappush(self._heap, (conn.timeout, self._last, conn))

    def remove(self, conn: Connection) -> None:
        del self._numbers[conn]     # its entry is left out later
        if len(self._heap) > 2 * len(self._numbers) + SPARE:
            self._heap = [entry for entry in self._heap if self._is_current(entry)]
            heapq.heapify(self._heap)

    def __getitem__(self, index: int) -> Connection:
        """The connection with the earliest deadline; gunicorn asks for the index 0 only."""
        while not self._is_current(self._heap[index]):
            heapq.heappop(self._heap)
        return self._heap[index][2]

    def popleft(self) -> Connection:
        conn = self[0]
        heapq.heappop(self._heap)
        del self._numbers[conn]
        return conn

    def limit(self, deadline: float) -> None:
        """Let no connection wait for longer."""
        connections, self._heap, self._numbers = list(self._numbers), [], {}
        for conn in connections:
            conn.timeout = min(conn.timeout, deadline)
            self.append(conn)

    def _is_current(self, entry: tuple[float, int, Connection]) -> bool:
        return self._numbers.get(entry[2]) == entry[1]
