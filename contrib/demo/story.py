"""Steps with a title, a time and a verdict."""

import contextlib
import time


class Failed(Exception):
    """Something is not as it should be."""


class Story:
    """Prints each step; the first one that fails ends the story."""

    def __init__(self):
        self._steps = 0
        self._start = time.monotonic()

    @contextlib.contextmanager
    def step(self, title):
        self._steps += 1
        print(f'{self._steps:3}  {title:<66} ', end='', flush=True)
        start = time.monotonic()
        try:
            yield
        except BaseException:
            print('FAILED', flush=True)
            raise
        print(f'{time.monotonic() - start:6.2f} s', flush=True)

    def end(self):
        print(f'\n{self._steps} steps in {time.monotonic() - self._start:.1f} s, '
              'all as they should be')


def same(what, found, expected):
    """:raises Failed: they differ."""
    if found != expected:
        raise Failed(f'{what}: {found!r}, expected {expected!r}')
