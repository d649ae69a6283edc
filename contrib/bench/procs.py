"""CPU time and memory of the processes of a server, from /proc."""

import contextlib
import os
import pathlib

TICK = os.sysconf('SC_CLK_TCK')
PROC = pathlib.Path('/proc')


class ProcessTree:
    """Some processes and their descendants, which are looked up at each call."""

    def __init__(self, *roots):
        self._roots = roots

    def pids(self):
        children = {}
        for pid, fields in _processes():
            children.setdefault(int(fields[1]), []).append(pid)
        pids, pending = [], list(self._roots)
        while pending:
            pid = pending.pop()
            pids.append(pid)
            pending += children.get(pid, ())
        return pids

    def cpu(self):
        """Return the CPU seconds so far, with those of reaped children."""
        total = 0
        for pid in self.pids():
            if (fields := _stat(pid)) is not None:
                total += sum(int(field) for field in fields[11:15])
        return total / TICK

    def memory(self):
        """Return ``(proportional, resident)`` bytes (PSS and RSS).

        Memory that processes share counts once in the first, and once for each process
        in the second.
        """
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

    def restart_peak(self):
        """Let ``peak`` begin anew.  The processes must belong to this user.

        :returns: resident bytes now, summed over the processes.
        """
        for pid in self.pids():
            with contextlib.suppress(OSError):
                (PROC / str(pid) / 'clear_refs').write_text('5')
        return self._status('VmRSS')

    def peak(self):
        """Return the most resident bytes of each process since ``restart_peak``, summed."""
        return self._status('VmHWM')

    def _status(self, name):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                for line in (PROC / str(pid) / 'status').read_text().splitlines():
                    if line.startswith(f'{name}:'):
                        total += int(line.split()[1]) << 10
        return total


def listening_on(port):
    """Return the process tree that listens on a TCP port of this machine; None if unknown."""
    inodes = set(_listening_inodes(port))
    holders = {pid for pid, _ in _processes() if inodes & _sockets(pid)}
    if not holders:
        return None
    parents = {pid: int(fields[1]) for pid, fields in _processes()}
    roots = {pid for pid in holders if parents[pid] not in holders}
    above = {parents[pid] for pid in roots}
    if len(roots) > 1 and len(above) == 1 and above != {1}:
        roots = above           # each worker has its own socket; they have one parent
    return ProcessTree(*roots)


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
    inodes = set()
    try:
        for entry in os.scandir(PROC / str(pid) / 'fd'):
            link = os.readlink(entry.path)
            if link.startswith('socket:['):
                inodes.add(link[8:-1])
    except OSError:
        pass                        # it has ended, or belongs to another user
    return inodes


def _processes():
    for entry in os.scandir(PROC):
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
            yield int(entry.name), fields


def _stat(pid):
    """Return the fields of /proc/PID/stat from the state on; None if it has ended."""
    try:
        text = (PROC / str(pid) / 'stat').read_text()
    except OSError:
        return None
    return text[text.rindex(')') + 2:].split()
