"""What a server costs: CPU seconds and memory of its processes, from /proc."""

import os
import pathlib

TICK = os.sysconf('SC_CLK_TCK')
PROC = pathlib.Path('/proc')


class Tree:
    """Some processes and everything below them, found anew at each look."""

    def __init__(self, *roots):
        self._roots = roots

    def pids(self):
        children = {}
        for pid, fields in _all():
            children.setdefault(int(fields[1]), []).append(pid)
        found, todo = [], list(self._roots)
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, ())
        return found

    def cpu(self):
        """Seconds used so far, those of ended and reaped children included."""
        total = 0
        for pid in self.pids():
            if (fields := _stat(pid)) is not None:
                total += sum(int(field) for field in fields[11:15])
        return total / TICK

    def memory(self):
        """``(proportional, resident)`` bytes; shared pages count once in the first."""
        proportional = resident = 0
        for pid in self.pids():
            try:
                lines = (PROC / str(pid) / 'smaps_rollup').read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                if line.startswith('Pss:'):
                    proportional += int(line.split()[1]) << 10
                elif line.startswith('Rss:'):
                    resident += int(line.split()[1]) << 10
        return proportional, resident


def listening_on(port):
    """The tree of the server behind a TCP port of this machine, or None."""
    inodes = set(_listening_inodes(port))
    holders = {pid for pid, _ in _all() if inodes & _sockets(pid)}
    if not holders:
        return None
    parents = {pid: int(fields[1]) for pid, fields in _all()}
    roots = {pid for pid in holders if parents[pid] not in holders}
    above = {parents[pid] for pid in roots}
    if len(roots) > 1 and len(above) == 1 and above != {1}:
        roots = above           # workers with sockets of their own, below one master
    return Tree(*roots)


def _listening_inodes(port):
    for name in ('tcp', 'tcp6'):
        try:
            lines = (PROC / 'net' / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == '0A' and int(fields[1].rsplit(':', 1)[1], 16) == port:
                yield fields[9]


def _sockets(pid):
    found = set()
    try:
        for entry in os.scandir(PROC / str(pid) / 'fd'):
            link = os.readlink(entry.path)
            if link.startswith('socket:['):
                found.add(link[8:-1])
    except OSError:
        pass                        # it has ended, or is not ours to see
    return found


def _all():
    for entry in os.scandir(PROC):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            yield int(entry.name), fields


def _stat(pid):
    """The fields of /proc/PID/stat from the state on; None if it has ended."""
    try:
        text = (PROC / str(pid) / 'stat').read_text()
    except OSError:
        return None
    return text[text.rindex(')') + 2:].split()
