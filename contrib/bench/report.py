"""Collects the points of all rounds in rows, and prints them as tables and JSON."""

import dataclasses
import statistics

UNITS = {'request': 'ms/req', 'GiB': 's/GiB'}


@dataclasses.dataclass
class Cell:
    """All rounds of one row on one server."""

    values: list = dataclasses.field(default_factory=list)
    latencies: list = dataclasses.field(default_factory=list)
    work: float = 0.0
    cpu: float | None = None
    database: float | None = None
    clients: float = 0.0
    failed: int = 0

    def add(self, point):
        self.values.append(point.value)
        self.latencies += point.latencies
        self.work += point.work
        self.failed += point.failed
        self.clients += point.clients
        if point.cpu is not None:
            self.cpu = (self.cpu or 0.0) + point.cpu
        if point.database is not None:
            self.database = (self.database or 0.0) + point.database

    @property
    def value(self):
        return statistics.median(self.values)

    def cost(self, seconds, per):
        """Return CPU milliseconds per request, or CPU seconds per GiB."""
        if seconds is None or not self.work:
            return None
        return seconds / self.work * (1e3 if per == 'request' else 1.0)

    def latency(self, fraction):
        """Return a quantile of the latencies, in milliseconds."""
        if not self.latencies:
            return None
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * 1e3


class Row:
    """One measurement on all servers."""

    def __init__(self, point, group):
        self.name, self.group = point.row, group
        self.unit, self.per, self.more_is_better = point.unit, point.per, point.more_is_better
        self.cells = {}

    def ratio(self, first, second):
        """Return how many times better the first server is."""
        one, other = self.cells.get(first), self.cells.get(second)
        if one is None or other is None:
            return None
        return _divide(one.value, other.value, self.more_is_better)

    def cost_ratio(self, first, second):
        """Return how many times less CPU time the first server needs."""
        one, other = self.cells.get(first), self.cells.get(second)
        if one is None or other is None:
            return None
        return _divide(one.cost(one.cpu, self.per), other.cost(other.cpu, self.per), False)


def _divide(one, other, more_is_better):
    numerator, denominator = (one, other) if more_is_better else (other, one)
    return numerator / denominator if numerator is not None and denominator else None


class Report:
    """All rows; the first two servers are compared.

    :param servers: the names of the servers.
    """

    def __init__(self, servers):
        self.servers = servers
        self.rows = {}
        self.floors = []
        self.facts = {}

    def add(self, server, group, points):
        for point in points:
            row = self.rows.setdefault((group, point.row), Row(point, group))
            row.cells.setdefault(server, Cell()).add(point)

    def text(self):
        parts = [f'{name}: {value}' for name, value in self.facts.items()]
        if self.floors:
            parts += ['', *_table(['floors (without a server)', 'MiB/s', 'CPU s/GiB'], [
                [floor.name, _number(floor.rate), _number(floor.cpu)] for floor in self.floors])]
        if self.rows:
            parts += ['', *self._figures()]
        if any(cell.latencies for row in self.rows.values() for cell in row.cells.values()):
            parts += ['', *self._latencies()]
        return '\n'.join(parts) + '\n'

    def _figures(self):
        pair = self.servers[:2] if len(self.servers) > 1 else None
        databases = [name for name in self.servers if any(
            name in row.cells and row.cells[name].database is not None
            for row in self.rows.values())]
        head = ['', 'unit', *self.servers, *(['better'] if pair else []),
                'CPU', *self.servers, *(['less'] if pair else []),
                *(f'db, {name}' for name in databases)]
        lines, group = [], None
        for row in self.rows.values():
            if group not in (None, row.group):
                lines.append(None)
            group = row.group
            cells = [row.cells.get(name) for name in self.servers]
            line = [row.name, row.unit, *(_value(cell) for cell in cells)]
            if pair:
                line.append(_times(row.ratio(*pair)))
            line.append(UNITS.get(row.per, ''))
            line += [_number(cell and cell.cost(cell.cpu, row.per)) for cell in cells]
            if pair:
                line.append(_times(row.cost_ratio(*pair)))
            for name in databases:
                cell = row.cells.get(name)
                line.append(_number(cell and cell.cost(cell.database, row.per)))
            lines.append(line)
        return _table(head, lines)

    def _latencies(self):
        quantiles = (('p50', 0.5), ('p99', 0.99))
        head = ['latency, ms', *(f'{label}, {name}' for label, _ in quantiles
                                 for name in self.servers)]
        lines = []
        for row in self.rows.values():
            if any(cell.latencies for cell in row.cells.values()):
                cells = [row.cells.get(name) for name in self.servers]
                lines.append([row.name, *(_number(cell and cell.latency(fraction))
                                          for _, fraction in quantiles for cell in cells)])
        return _table(head, lines)

    def as_json(self):
        return {
            'facts': self.facts, 'servers': self.servers,
            'floors': [dataclasses.asdict(floor) for floor in self.floors],
            'rows': [{
                'group': row.group, 'name': row.name, 'unit': row.unit,
                'more_is_better': row.more_is_better, 'cpu_unit': UNITS.get(row.per),
                'better': row.ratio(*self.servers[:2]) if len(self.servers) > 1 else None,
                'less_cpu': row.cost_ratio(*self.servers[:2]) if len(self.servers) > 1 else None,
                'servers': {name: {
                    'value': cell.value, 'rounds': cell.values,
                    'cpu': cell.cost(cell.cpu, row.per),
                    'database_cpu': cell.cost(cell.database, row.per),
                    'clients_cpu': cell.cost(cell.clients, row.per),
                    'p50_ms': cell.latency(0.5), 'p99_ms': cell.latency(0.99),
                    'failed': cell.failed,
                } for name, cell in row.cells.items()},
            } for row in self.rows.values()]}


def _value(cell):
    if cell is None:
        return '-'
    return _number(cell.value) + (f' ({cell.failed} failed)' if cell.failed else '')


def _number(value):
    if value is None:
        return '-'
    if value >= 100 or value == int(value):
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def _times(ratio):
    if ratio is None:
        return '-'
    return f'{ratio:.2f}x' if ratio < 10 else f'{ratio:.0f}x'


def _table(head, lines):
    """Return the lines of a table; None among ``lines`` is an empty line."""
    full = [head, *(line for line in lines if line)]
    columns = range(len(head))
    widths = [max(len(line[column]) for line in full) for column in columns]
    is_text = [all(not line[column] or not (line[column][0].isdigit() or line[column] == '-')
                   for line in full) for column in columns]

    def show(line):
        return '  '.join(entry.ljust(width) if left or column == 0 else entry.rjust(width)
                         for column, (entry, width, left)
                         in enumerate(zip(line, widths, is_text, strict=True))).rstrip()

    rule = '-' * (sum(widths) + 2 * (len(widths) - 1))
    return [show(head), rule, *(show(line) if line else '' for line in lines)]
