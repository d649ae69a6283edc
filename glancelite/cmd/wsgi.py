"""For WSGI containers, which import this: ``glancelite.cmd.wsgi:application``."""

from glancelite.cmd import container

application = container.build()
