"""What several commands need: the built service, and the health of its plugins."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from oslo_config import cfg

from glancelite import assembly, contract
from glancelite.contract import Misconfigured
from glancelite.services import border

#: seconds that a command waits for one check
HEALTH_TIME = 30.0


@contextlib.contextmanager
def service(conf: cfg.ConfigOpts) -> Iterator[assembly.Core]:
    """The built service; closed at the end of the block."""
    core = assembly.build(conf)
    try:
        yield core
    finally:
        core.close()


def health(check: Callable[[], str]) -> tuple[bool, str]:
    """Run a health check; returns whether it passed, and its text."""
    try:
        return True, str(border.run_limited(check, HEALTH_TIME, 'health'))
    except (Misconfigured, contract.Error) as error:
        return False, str(error)
    except TimeoutError as error:
        return False, str(error)
    except Exception as error:  # a plugin of another package may raise anything
        return False, f'{type(error).__name__}: {error}'
