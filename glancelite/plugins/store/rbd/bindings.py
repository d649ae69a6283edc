"""Imports the Python bindings of Ceph from the distribution's packages."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pathlib
import sys
import sysconfig
import threading
from typing import Any

from glancelite import contract

#: directories of the bindings in distributions; they are not on PyPI
SYSTEM_DIRECTORIES = ('/usr/lib/python3/dist-packages',
                      f'/usr/lib64/python{sysconfig.get_python_version()}/site-packages')

_LOCK = threading.Lock()


def load_bindings() -> tuple[Any, Any]:
    """Return the modules ``rados`` and ``rbd``.

    A virtual environment does not see the packages of the distribution. Only these two modules
    are loaded from there: with the whole directory on the path, it would hide packages of the
    environment.

    :raises Misconfigured: they are not installed for this Python version.
    """
    with _LOCK:
        return _load('rados'), _load('rbd')     # rbd imports rados


def _load(name: str) -> Any:
    with contextlib.suppress(ImportError):
        return importlib.import_module(name)
    file = name + (sysconfig.get_config_var('EXT_SUFFIX') or '.so')
    for directory in SYSTEM_DIRECTORIES:
        path = pathlib.Path(directory, file)
        if path.is_file():
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except ImportError as error:
                del sys.modules[name]
                raise contract.Misconfigured(f'{path} cannot be loaded: {error}') from error
            return module
    version = sysconfig.get_python_version()
    raise contract.Misconfigured(
        f'the rbd store needs the Python bindings of Ceph for Python {version}: install the '
        f'Debian package python3-{name}, or another one with the file {file}')
