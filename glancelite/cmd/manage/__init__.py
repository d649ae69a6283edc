"""``glancelite-manage``: the operator's command line, with one module per noun.

A noun's module defines ``add_parser(subparsers)``, which adds its parser and
sets ``run`` as a default: a function of the configuration that returns the
exit code. `NOUNS` lists the modules in the order of ``--help``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from oslo_config import cfg

from glancelite import config, contract
from glancelite.cmd.ending import end
from glancelite.cmd.manage import check, db, layers, locations, metadefs, restore, tasks
from glancelite.contract import Misconfigured

NOUNS = (db, layers, locations, tasks, restore, check, metadefs)


def main() -> NoReturn:
    """Run the command of the command line, and end the process."""
    try:
        code = run(sys.argv[1:])
    except SystemExit as error:     # wrong usage, or --help
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BrokenPipeError:         # of the program that reads the output
        os._exit(1)
    end(code)


def run(argv: Sequence[str]) -> int:
    """Run one command; returns the exit code: 0 done, 1 failed, 2 wrong usage."""
    command = cfg.SubCommandOpt('verb', title='Verbs', handler=_add_parsers)
    try:
        conf = config.load(argv, prog='glancelite-manage', cli_opts=[command], tool=True)
        config.set_up_logging(conf)
        return int(conf.verb.run(conf))
    except (Misconfigured, contract.Error) as error:
        print(f'ERROR: {error}', file=sys.stderr)
        return 1


def _add_parsers(subparsers: Any) -> None:
    for noun in NOUNS:
        noun.add_parser(subparsers)
