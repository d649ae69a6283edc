"""Options of the HTTP server; the names are Glance's."""

from oslo_config import cfg
from oslo_reports import opts

OPTS = (
    cfg.HostAddressOpt('bind_host', default='0.0.0.0',
                       help='Address to listen on.'),
    cfg.PortOpt('bind_port', default=9292,
                help='TCP port to listen on.'),
    cfg.IntOpt('workers', min=0, sample_default='number of CPUs, at most 8',
               help='Processes that serve requests; 0 and 1 both mean one.'),
    cfg.IntOpt('threads', default=64, min=1,
               help='Requests that one worker process serves at the same time.'),
    cfg.IntOpt('backlog', default=4096, min=1,
               help='New connections that may wait to be accepted.'),
    cfg.IntOpt('tcp_keepidle', default=600, min=1,
               help='Seconds of silence before the kernel probes whether a client is alive.'),
    cfg.IntOpt('client_socket_timeout', default=900, min=0,
               help='Seconds that a silent client is waited for; 0 waits for ever.'),
    cfg.BoolOpt('http_keepalive', default=True,
                help='Keep a connection open for further requests.'),
    cfg.IntOpt('max_header_line', default=16384, min=1024,
               help='Longest header line accepted, in bytes; tokens with large service '
                    'catalogues need more.'),
    cfg.StrOpt('cert_file',
               help='Certificate (PEM); together with key_file it makes the server speak TLS.'),
    cfg.StrOpt('key_file',
               help='Private key (PEM) of cert_file.'),
    cfg.StrOpt('ca_file',
               help='Authorities (PEM) of which every client must show a certificate.'),
    cfg.IntOpt('graceful_shutdown_timeout', default=60, min=0,
               help='Seconds that running requests are given to finish after SIGTERM.'),
)


def register(conf):
    """Make these options known to ``conf``, and those of oslo.reports."""
    conf.register_opts(OPTS)
    opts.set_defaults(conf)
