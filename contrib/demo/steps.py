"""Prints the steps of the demo, with times and results."""

import contextlib
import time


class Failed(Exception):
    """A step had an unexpected result."""


class Steps:
    """Prints each step; an exception in a step ends the demo."""

    def __init__(self):
        self._count = 0
        self._start = time.monotonic()

    @contextlib.contextmanager
    def step(self, title):
        self._count += 1
        print(f'{self._count:3}  {title:<66} ', end='', flush=True)
        start = time.monotonic()
        try:
            yield
        except BaseException:
            print('FAILED', flush=True)
            raise
        print(f'{time.monotonic() - start:6.2f} s', flush=True)

    def end(self):
        print(f'\n{self._count} steps in {time.monotonic() - self._start:.1f} s, '
              'all with the expected results')


def expect(what, actual, expected):
    """
    :raises Failed: the values differ.
    """
    if actual != expected:
        raise Failed(f'{what}: {actual!r}, expected {expected!r}')
