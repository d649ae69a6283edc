"""Bytes to and from one client, with and without TLS."""

import os
import socket
import ssl

SMALL = 1 << 14  # up to this many bytes, one copy is cheaper than a second system call


class ClientGone(ConnectionError):
    """What was sent cannot arrive any more."""


class Wire:
    """A TCP connection.

    The socket blocks and the kernel bounds each wait (the timeouts are set on
    the listener and inherited), so that a transfer costs one system call per
    piece. A read that must not wait says so in the call.
    """

    secure = False

    def __init__(self, sock):
        self.sock = sock

    def prepare(self):
        """Get ready for requests; False while the client has to send more first."""
        return True

    def arrived(self, size):
        """What is here already: ``b''`` at the end of the stream, None for nothing."""
        try:
            return self.sock.recv(size, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def receive(self, size, flags=0):
        """Between one and ``size`` bytes; ``b''`` at the end of the stream.

        :raises TimeoutError: the client sent nothing for too long.
        """
        try:
            return self.sock.recv(size, flags)
        except BlockingIOError:
            raise TimeoutError('the client sent nothing for too long') from None

    def receive_all(self, size):
        """As `receive`, but it waits for all of ``size`` if it can."""
        return self.receive(size, socket.MSG_WAITALL)

    def send(self, *parts, more=False):
        """
        :param more: something else follows at once.
        :raises ClientGone: the connection is lost, or the client takes nothing.
        """
        try:
            if len(parts) == 1 or sum(map(len, parts)) <= SMALL:
                self.sock.sendall(b''.join(parts), socket.MSG_MORE if more else 0)
                return
            sent = self.sock.sendmsg(parts)
            for part in parts:
                if sent < len(part):
                    self.sock.sendall(memoryview(part)[sent:])
                sent = max(0, sent - len(part))
        except OSError as exc:
            raise ClientGone(f'sending failed: {exc}') from exc

    def send_file(self, handle, offset, size):
        """Let the kernel send from an open file.

        :returns: bytes taken, 0 at the end of the file.
        :raises ClientGone: see `send`.
        """
        try:
            return os.sendfile(self.sock.fileno(), handle, offset, size)
        except OSError as exc:
            raise ClientGone(f'sending failed: {exc}') from exc

    def hang_up(self):
        """Say that nothing more will be sent; what still arrives can be read raw."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Make the coming `close` look like the failure it is."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')

    def close(self):
        self.sock.close()


class TLSWire(Wire):
    """The same through TLS; here Python has to watch the time."""

    secure = True

    def __init__(self, sock, context, timeout):
        """:param timeout: seconds; None waits for ever."""
        super().__init__(context.wrap_socket(sock, server_side=True,
                                             do_handshake_on_connect=False))
        self._timeout = timeout
        self._ready = False

    def prepare(self):
        if not self._ready:
            self.sock.settimeout(0)
            try:
                self.sock.do_handshake()
            except ssl.SSLWantReadError:
                return False
            self.sock.settimeout(self._timeout)
            self._ready = True
        return True

    def arrived(self, size):
        self.sock.settimeout(0)
        try:
            return self.sock.recv(size)
        except (ssl.SSLWantReadError, BlockingIOError):
            return None
        finally:
            self.sock.settimeout(self._timeout)

    def receive(self, size, flags=0):
        return self.sock.recv(size)

    def send(self, *parts, more=False):
        try:
            self.sock.sendall(b''.join(parts))
        except OSError as exc:
            raise ClientGone(f'sending failed: {exc}') from exc

    def hang_up(self):
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except OSError:
            pass    # the farewell is sent; the client's own is not waited for
        super().hang_up()
        self.sock.settimeout(0)
