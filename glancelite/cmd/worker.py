"""``glancelite-worker``: runs tasks, such as imports, without HTTP."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from oslo_config import cfg

from glancelite import assembly, config
from glancelite.cmd import checks
from glancelite.cmd.ending import end
from glancelite.contract import Error, Misconfigured
from glancelite.server import guru_report
from glancelite.server.systemd import ServiceManager

LOG = logging.getLogger(__name__)

#: names the process that started this one; it is passed on to the next program
NOTIFY = 'NOTIFY_SOCKET'
#: signals after which the worker goes on, and those after which it ends
NOT_ENDING: tuple[int, ...] = (signal.SIGHUP, signal.SIGUSR1)
ENDING: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run tasks until SIGTERM or SIGINT.

    SIGHUP reloads the configuration, and SIGUSR1 opens the log again.
    """
    argv = sys.argv[1:] if argv is None else argv
    # until tasks are run: nothing has to be handed back
    for number in ENDING:
        signal.signal(number, lambda number, frame: os._exit(0))
    try:
        code = Worker(argv).run()
    except (Misconfigured, Error) as error:
        print(f'glancelite-worker: {error}', file=sys.stderr)
        code = 1
    end(code)


def configuration(argv: Sequence[str]) -> cfg.ConfigOpts:
    """Read the configuration, and log as it says.

    :raises Misconfigured: it is invalid.
    """
    conf = config.load(argv, prog='glancelite-worker')
    config.set_up_logging(conf)
    return conf


def build(conf: cfg.ConfigOpts) -> assembly.Core:
    """Return the service, which can run tasks in this process.

    :raises Misconfigured: a worker cannot work with this configuration.
    :raises Unavailable: the database does not answer.
    """
    core = assembly.build(conf, announce=True)
    try:
        checks.runs_tasks(core)
        checks.service(conf, core)
    except BaseException:
        core.close()
        raise
    return core


class Worker:
    """The process.

    :param argv: arguments of the command line, without the program's name.
    """

    def __init__(self, argv: Sequence[str]):
        self._argv = argv
        self._address = os.environ.get(NOTIFY)
        self._manager = ServiceManager()
        self._stop_requested = False
        # Python writes the numbers of signals into this pipe. Handlers alone would not do: a
        # signal that comes just before the main thread waits does not end its wait.
        self._signals, written = os.pipe()
        os.set_blocking(written, False)
        signal.set_wakeup_fd(written, warn_on_full_buffer=False)
        for number in NOT_ENDING:
            signal.signal(number, self._note)

    def run(self) -> int:
        """Run tasks until a signal ends the process; return its exit code.

        :raises Misconfigured: a worker cannot work with this configuration.
        """
        conf = configuration(self._argv)
        core = build(conf)
        checks.log_failures_of_imports(conf, core)
        core.start(serves=False)
        signal.signal(signal.SIGUSR2, guru_report.install(conf))
        for number in ENDING:
            signal.signal(number, self._note)
        LOG.info('ready: tasks are run by the executor %s', core.layers.executor.name)
        self._manager.ready()
        while (received := self._next_signal()) not in ENDING:
            if received == signal.SIGUSR1:
                config.set_up_logging(conf)     # closes a file that was renamed
            if received != signal.SIGHUP:
                continue
            self._manager.reloading()
            if self._is_valid(conf) and not self._stop_requested:
                LOG.info('reloading')
                self._close(core)
                self._start_again()
            self._manager.ready()
        self._manager.stopping()
        LOG.info('stopping')
        self._close(core)
        return 0

    def _note(self, number: int, frame: object) -> None:
        self._stop_requested |= number in ENDING

    def _next_signal(self) -> int:
        """Wait for a signal of any kind."""
        return os.read(self._signals, 1)[0]

    def _is_valid(self, present: cfg.ConfigOpts) -> bool:
        """Return whether a worker could start with the configuration as it is now."""
        try:
            build(configuration(self._argv)).close()
        except (Misconfigured, Error) as error:
            config.set_up_logging(present)
            LOG.error('the configuration was not reloaded: %s', error)
            return False
        return True

    def _close(self, core: assembly.Core) -> None:
        """Hand the work back; another signal ends the process at once."""
        for number in ENDING:
            signal.signal(number, lambda number, frame: os._exit(1))
        core.close()

    def _start_again(self) -> NoReturn:
        """Replace this program by a new one in the same process.

        What libraries have changed in this process ends, and so do threads that hang.
        """
        if self._address is not None:
            os.environ[NOTIFY] = self._address
        logging.shutdown()
        # until the new program handles them, they are ignored; its configuration is read later
        for number in NOT_ENDING:
            signal.signal(number, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])      # noqa: S606


if __name__ == '__main__':
    main()
