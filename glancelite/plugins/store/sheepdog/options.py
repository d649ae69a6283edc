"""The options of the Sheepdog store."""

from __future__ import annotations

from oslo_config import cfg

OPTS = (
    cfg.ListOpt('sheepdog_store_address', default=['127.0.0.1'],
                help='Hosts of sheep daemons of one cluster, as host or host:port. If a daemon '
                     'cannot be reached, the next one is used. The first one is in the URLs of '
                     'new images.'),
    cfg.PortOpt('sheepdog_store_port', default=7000, min=1,
                help='Port of the daemons that are named without a port.'),
    cfg.IntOpt('sheepdog_store_chunk_size', default=64, min=1,
               help='MiB per run of the program. An upload stores up to three times as much in '
                    'the directory for temporary files (TMPDIR).'),
    cfg.ListOpt('sheepdog_store_known_addresses', default=[],
                sample_default='10.0.0.1:7000,10.0.0.2:7000',
                help='Other daemons of the same cluster, as host:port, which the locations of '
                     'older images contain. They are used if all others cannot be reached.'),
    cfg.FloatOpt('sheepdog_store_timeout', default=60, min=0.1,
                 help='Seconds to wait for the cluster, such as for the next bytes of a read or '
                      'write.'),
)
