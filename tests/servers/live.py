"""A real ``glancelite-api`` process."""

import configparser
import contextlib
import dataclasses
import http.client
import os
import pathlib
import sys

from tests.servers import process, ready


@dataclasses.dataclass(frozen=True)
class LiveServer:
    """A running API server.

    ``url`` has no trailing slash; all files that the server writes by default
    are below ``dir``; a test may kill or signal ``process``.
    """

    url: str
    dir: pathlib.Path
    log: pathlib.Path
    process: object

    @property
    def pid(self):
        return self.process.pid

    @property
    def port(self):
        return int(self.url.rpartition(':')[2])


@contextlib.contextmanager
def server(config=None, env=None, *, arguments=(), timeout=60, executable=False,
           program='glancelite-api'):
    """Run ``glancelite-api`` while the block runs.

    :param config: section -> option -> value, for a configuration file in
        which the address is added; None for the embedded mode, without a file.
    :param env: environment variables in addition to the present ones.
    :param arguments: further command line arguments.
    :param timeout: seconds to wait for the first answer.
    :param executable: start the installed executable, not a fork as in ``ready``: slower, and
        needed where ``env`` has an effect before the first line of the program.
    :param program: another one of ``ready.MODULES`` with the same arguments.
    """
    port = process.free_port()
    address = {'bind_host': '127.0.0.1', 'bind_port': port}
    with process.directory('api') as home:
        log = home / 'log'
        arguments = [*arguments]
        variables = private(home)
        if config is None:
            variables |= {f'OS_DEFAULT__{name.upper()}': str(value)
                          for name, value in address.items()}
        else:
            file = home / 'glancelite-api.conf'
            write_config(file, {**config, 'DEFAULT': {**address, **config.get('DEFAULT', {})}})
            arguments += ['--config-file', file]
        with _running(None if executable else program, arguments,
                      answers=lambda: answers(port), log=log, cwd=home,
                      env=variables | (env or {}), timeout=timeout) as started:
            yield LiveServer(f'http://127.0.0.1:{port}', home, log, started)


def _running(program, arguments, *, log, cwd, env, **waiting):
    if program is None:
        path = pathlib.Path(sys.executable).with_name('glancelite-api')
        return process.running([path, *arguments], log=log, cwd=cwd, env=env, **waiting)
    started = ready.start(program, arguments, log=log, cwd=cwd, env=os.environ | env)
    return process.answering(started, 'glancelite-api', log=log, **waiting)


def private(home):
    """Environment variables that keep out the configuration of this machine and user.

    The cache of stevedore stays where all servers of a test run share it.
    """
    cache = os.environ.get('XDG_CACHE_HOME') or str(pathlib.Path.home() / '.cache')
    return {'XDG_CACHE_HOME': cache, 'HOME': str(home), 'XDG_STATE_HOME': str(home / 'state'),
            'GLANCELITE_CONFIG_DIR': str(home), 'OS_GLANCE_CONFIG_DIR': str(home)}


def answers(port):
    """Whether a server on this port of loopback returns the list of API versions."""
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=10)
    try:
        connection.request('GET', '/versions')
        return connection.getresponse().status in (200, 300)
    except http.client.HTTPException:
        return False
    finally:
        connection.close()


def growth(server):
    """Return a function that returns by how many bytes the worker has grown at most since."""
    children = pathlib.Path(f'/proc/{server.pid}/task/{server.pid}/children')
    worker = pathlib.Path('/proc') / children.read_text().split()[0]
    (worker / 'clear_refs').write_text('5')
    before = _memory(worker, 'VmRSS')
    return lambda: _memory(worker, 'VmHWM') - before


def _memory(worker, name):
    for line in (worker / 'status').read_text().splitlines():
        if line.startswith(f'{name}:'):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


def write_config(file, config):
    """Write section -> option -> value in the form that oslo.config reads."""
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read_dict(config)
    with open(file, 'w') as out:
        parser.write(out)
