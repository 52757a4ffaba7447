"""Servers that speak TLS on loopback: an authority made for one test, and a front that ends TLS before a plain server."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import select
import socket
import ssl
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.loopback import Loopback


class Authority:
    """An authority of its own, whose certificates and keys lie in one folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA()
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.pem = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.pem)

    def issue(self, name: str, *hosts: str, expired: bool = False) -> Path:
        """Return a file with a certificate for these hosts, or for a client's mail address, and its key."""
        ended = dt.datetime.now(dt.UTC) - dt.timedelta(days=1) if expired else None
        issued = self._ca.issue_cert(*hosts, not_after=ended)
        path = self._folder / f"{name}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(path)
        return path


def self_signed(folder: Path, name: str = "self") -> tuple[Path, Path]:
    """Return a certificate for 127.0.0.1 that signs itself, and the file with its key as well."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self-signed server")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert = folder / f"{name}-cert.pem"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    both = folder / f"{name}-both.pem"
    both.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + cert.read_bytes()
    )
    return cert, both


class TlsFront:
    """Speaks TLS with clients, and hands what they send to a plain server on a port of loopback."""

    def __init__(self, port: int, cert: Path, *, clients: Path | None = None) -> None:
        self._port = port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert)
        if clients is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients)
        self.handshakes = 0  # those that were completed

    def __enter__(self):
        self._loopback = Loopback(self._serve)
        self.port = self._loopback.port
        self.url = f"https://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_):
        self._loopback.close()

    def _serve(self, connection: socket.socket, _number: int) -> None:
        with contextlib.suppress(OSError):
            try:
                secure = self._context.wrap_socket(connection.dup(), server_side=True)
            except ssl.SSLError:
                # The alert must arrive: a reset for what was left unread would overtake it.
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
                return
            self.handshakes += 1
            with secure, socket.create_connection(("127.0.0.1", self._port)) as plain:
                _exchange(secure, plain)


def _exchange(one: socket.socket, other: socket.socket) -> None:
    """Hand on what either side sends until one ends; in one thread, for a TLS socket bears no two."""
    with contextlib.suppress(OSError):
        while True:
            for ready in select.select([one, other], [], [])[0]:
                taker = other if ready is one else one
                if not (data := ready.recv(65536)):
                    return
                while isinstance(ready, ssl.SSLSocket) and ready.pending():
                    data += ready.recv(65536)
                taker.sendall(data)


class ConnectProxy:
    """A proxy that tunnels CONNECT to loopback whatever the host, or answers it with ``refusal``."""

    def __init__(self, refusal: bytes = b"") -> None:
        self._refusal = refusal
        self.asked: list[str] = []  # the targets of CONNECT

    def __enter__(self):
        self._loopback = Loopback(self._serve)
        self.port, self.url = self._loopback.port, self._loopback.url
        return self

    def __exit__(self, *_):
        self._loopback.close()

    def _serve(self, connection: socket.socket, _number: int) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := connection.recv(65536)):
                    return
                head += more
            target = head.split(b" ")[1].decode()
            self.asked.append(target)
            if self._refusal:
                connection.sendall(self._refusal)
                return
            port = int(target.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as there:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _exchange(connection, there)


def in_front_of(url: str, authority: Authority, **more) -> TlsFront:
    """A front before the plain server at ``url``, with a certificate of the authority for this machine."""
    return TlsFront(int(url.rpartition(":")[2]), authority.issue("server", "127.0.0.1"), **more)
