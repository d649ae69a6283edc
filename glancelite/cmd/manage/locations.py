"""``glancelite-manage locations``: finds and repairs faulty location records."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from glancelite.cmd.manage.core import service
from glancelite.services.location_audit import audit


def add_parser(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        'locations', help='Find locations that name no store or a wrong one, or contain a '
                          'password.')
    parser.add_argument('--write', action='store_true',
                        help='Correct the records; without it, only show the faults.')
    parser.set_defaults(run=run)


def run(conf: cfg.ConfigOpts) -> int:
    """Print one line per finding; returns 3 if a finding is not corrected."""
    remaining = 0
    with service(conf) as core:
        for finding in audit(core.layers, write=conf.verb.write):
            remaining += not finding.corrected
            print(f'{"done" if finding.corrected else "    "}  {finding.image_id}: {finding.text}')
    return 3 if remaining else 0
