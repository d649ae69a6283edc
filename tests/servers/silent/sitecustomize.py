"""Makes calls below one directory hang, in every Python process with this on its path.

``GLANCELITE_TESTS_SILENT`` is the directory. Calls hang while a file of the same name with
the suffix ``.silent`` exists beside it.
"""

import os
import time

ROOT = os.environ['GLANCELITE_TESTS_SILENT']
REAL = {name: getattr(os, name) for name in (
    'access', 'fsync', 'link', 'lstat', 'mkdir', 'open', 'pread', 'scandir', 'sendfile', 'stat',
    'statvfs', 'unlink', 'write')}


def _watched(name):
    def call(*arguments, **named):
        if _is_below(arguments[1 if name == 'sendfile' else 0]):
            while _is_silent():
                time.sleep(0.02)
        return REAL[name](*arguments, **named)
    return call


def _is_below(target):
    if isinstance(target, int):
        try:
            target = os.readlink(f'/proc/self/fd/{target}')
        except OSError:
            return False
    return f'{target}/'.startswith(f'{ROOT}/')


def _is_silent():
    try:
        REAL['stat'](f'{ROOT}.silent')
    except FileNotFoundError:
        return False
    return True


for _name in REAL:
    setattr(os, _name, _watched(_name))
