"""Makes calls below one directory hang in whichever Python process finds this on its path.

``GLANCELITE_TESTS_SILENT`` is that directory; they hang as long as there is a file beside it
with the suffix ``.silent``.
"""

import os
import time

ROOT = os.environ['GLANCELITE_TESTS_SILENT']
REAL = {name: getattr(os, name) for name in (
    'access', 'fsync', 'link', 'lstat', 'mkdir', 'open', 'pread', 'scandir', 'sendfile', 'stat',
    'statvfs', 'unlink', 'write')}


def _watched(name):
    def call(*arguments, **named):
        if _is_there(arguments[1 if name == 'sendfile' else 0]):
            while _is_silent():
                time.sleep(0.02)
        return REAL[name](*arguments, **named)
    return call


def _is_there(place):
    if isinstance(place, int):
        try:
            place = os.readlink(f'/proc/self/fd/{place}')
        except OSError:
            return False
    return f'{place}/'.startswith(f'{ROOT}/')


def _is_silent():
    try:
        REAL['stat'](f'{ROOT}.silent')
    except FileNotFoundError:
        return False
    return True


for _name in REAL:
    setattr(os, _name, _watched(_name))
