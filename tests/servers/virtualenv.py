"""Services from PyPI, each in a virtual environment of its own."""

import fcntl
import os
import pathlib
import sys

from tests.servers import process


def install(name, version, *requirements):
    """Path of a virtual environment with the requirements, built the first time.

    It is kept in the user's cache; its libraries would conflict with those of the project.

    :param name: with ``version``, the name of the directory; change either with the requirements.
    """
    cache = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache')
    python = f'{sys.version_info.major}.{sys.version_info.minor}'
    folder = cache / 'glancelite-tests' / f'{name}-{version}-python{python}'
    venv, complete, log = folder / 'venv', folder / 'complete', folder / 'log'
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # concurrent test runs build it once
        if not complete.exists():
            process.run([sys.executable, '-m', 'venv', '--clear', venv], log=log, cwd=folder)
            process.run([venv / 'bin/pip', 'install', '--quiet', *requirements], log=log,
                        cwd=folder)
            complete.touch()
    return venv
