"""TLS: whose certificates are trusted, which one the client shows, and what a handshake that failed means."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from urllib3.util.ssl_ import create_urllib3_context

from mmsync.client.error import ModelManagerError
from mmsync.printable import printable

# The variables that name certificates, first those that requests reads, then OpenSSL's own.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_OPTION = "--cacert FILE (MMSYNC_CACERT, cacert in the profile; in Python, verify=FILE)"
CERT_OPTION = "--client-cert FILE (MMSYNC_CLIENT_CERT, client_cert in the profile; in Python, cert=FILE)"

# OpenSSL's codes for a certificate that is not accepted (x509_vfy.h).
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_UNKNOWN_AUTHORITY = frozenset({2, 19, 20, 21})
_OTHER_NAME = frozenset({62, 63, 64})
# The alerts by which a server says that it wants another certificate from its client, or any (RFC 8446, 6.2).
_CERTIFICATE_WANTED = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "ALERT_NO_CERTIFICATE")
_CERTIFICATE_REFUSED = (
    *("ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_UNKNOWN", "ALERT_ACCESS_DENIED"),
    *("ALERT_CERTIFICATE_EXPIRED", "ALERT_CERTIFICATE_REVOKED", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_DECRYPT_ERROR"),
)


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificates of a connection over TLS; ``source`` and ``cert_source`` say who named the files."""

    verifies: bool = True  # whether the server's certificate is checked
    store: str | None = None  # a file or folder of trusted certificates; None stands for the system's
    source: str = ""
    cert: str | None = None  # the file of the client's certificate, and of its key where ``key`` is None
    key: str | None = None
    cert_source: str = ""

    def stamp(self) -> tuple[object, ...]:
        """Return what changes when one of the files is written anew: a renewed certificate is used from then on."""
        return tuple(_stamp(path) for path in (self.store, self.cert, self.key) if path is not None)

    def context(self) -> ssl.SSLContext:
        """Return the context for new connections; `ModelManagerError` names the file that cannot be used."""
        made = self._trusting() if self.verifies else create_urllib3_context(cert_reqs=ssl.CERT_NONE)
        if self.cert is not None:
            self._show(made, self.cert)
        return made

    @property
    def trusted(self) -> str:
        """Return in words what certificates are checked against."""
        if not self.verifies:
            return "nothing: certificates are not checked"
        if self.store is not None:
            return f"the certificates in {printable(self.store)} ({self.source})"
        return "this system's trust store" if _truststore() else "the certificates that come with Python's requests"

    def _trusting(self) -> ssl.SSLContext:
        if self.store is None:
            system = _truststore()
            made: ssl.SSLContext = system.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if system else create_urllib3_context()
            # Beside the system's, where a container may have none.
            made.load_verify_locations(requests.utils.DEFAULT_CA_BUNDLE_PATH)
            return made
        made = create_urllib3_context()
        hint = f"correct {self.source}"
        what = f"the certificates {printable(self.store)} ({self.source})"
        try:
            if os.path.isdir(self.store):  # noqa: PTH112 - a path stays the string it is given as
                made.load_verify_locations(capath=self.store)
            else:
                made.load_verify_locations(self.store)
        except ssl.SSLError as error:
            hint += "; a file of certificates begins with -----BEGIN CERTIFICATE-----"
            raise ModelManagerError(msg=f"{what} cannot be used: it holds none in PEM", hint=hint) from error
        except OSError as error:
            raise ModelManagerError(msg=f"{what} cannot be read: {error.strerror}", hint=hint) from error
        return made

    def _show(self, context: ssl.SSLContext, cert: str) -> None:
        files = printable(cert) + (f" with the key {printable(self.key)}" if self.key else "")
        what = f"the client certificate {files} ({self.cert_source})"
        # Without a pass phrase given here, OpenSSL would ask at the terminal for one.
        asked = False

        def password() -> str:
            nonlocal asked
            asked = True
            return ""

        try:
            context.load_cert_chain(cert, self.key, password=password)
        except ssl.SSLError as error:
            if asked:
                wrong, hint = (
                    "has an encrypted key",
                    "decrypt it (openssl pkey -in KEY -out FILE), readable by you alone",
                )
            elif error.reason == "KEY_VALUES_MISMATCH":
                wrong, hint = "does not fit its key", "give the key it was made with as --client-key"
            else:
                wrong = "cannot be used: it does not hold both a certificate and its key in PEM"
                hint = f"put both into one file, or give the key as --client-key, and correct {self.cert_source}"
            raise ModelManagerError(msg=f"{what} {wrong}", hint=hint) from error
        except OSError as error:
            raise ModelManagerError(
                msg=f"{what} cannot be read: {error.strerror}", hint=f"correct {self.cert_source}"
            ) from error


def tls_of(verify: Any, cert: Any, sources: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Tls:
    """Return what requests' ``verify`` and ``cert`` mean, the environment asked where ``verify`` names nothing."""
    pair = cert if isinstance(cert, (tuple, list)) else (cert, None)
    shown, key = (None if each is None else os.fspath(each) for each in pair)
    store, source = None, ""
    if verify is None or verify is True:
        source = next((name for name in CA_VARIABLES if environ.get(name)), "")
        store = environ[source] if source else None
    elif verify is not False:
        store, source = os.fspath(verify), sources.get("verify", "verify=")
    return Tls(verify is not False, store, source, shown, key, sources.get("cert", "cert="))


def explained(reason: BaseException, tls: Tls) -> tuple[str, str] | None:
    """Return why a handshake failed and what to do about it; None where it was for another reason than certificates."""
    if isinstance(reason, ssl.SSLCertVerificationError):
        return _refused_by_us(reason, tls)
    alert = str(getattr(reason, "reason", None) or "")
    if any(mark in alert for mark in _CERTIFICATE_REFUSED) and tls.cert is not None:
        shown = f"{printable(tls.cert)} ({tls.cert_source})"
        return f"the server does not accept the client certificate {shown}", "give one of an authority it trusts"
    if any(mark in alert for mark in (*_CERTIFICATE_WANTED, *_CERTIFICATE_REFUSED)):
        if tls.cert is None:
            return "the server wants a client certificate", f"give yours as {CERT_OPTION}"
        return (
            f"the server ends the handshake although {printable(tls.cert)} ({tls.cert_source}) was offered",
            "give a client certificate of an authority it trusts",
        )
    return None


def _refused_by_us(error: ssl.SSLCertVerificationError, tls: Tls) -> tuple[str, str]:
    code = error.verify_code
    if code == _SELF_SIGNED:
        what = f"its certificate is self-signed, and not in {tls.trusted}"
        return what, f"if it is the right server, get its certificate and give it as {_OPTION}"
    if code in _UNKNOWN_AUTHORITY:
        what = f"its certificate is from an authority that is not in {tls.trusted}"
        if code != min(_UNKNOWN_AUTHORITY) and tls.store is not None:
            hint = f"give the authority's certificate as {_OPTION}, or add it to what {tls.source} names"
        else:
            hint = f"give the authority's certificate as {_OPTION}"
        return what, hint
    if code == _EXPIRED:
        return "its certificate has expired", "whoever runs the server must renew it; check this machine's clock too"
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet", "check this machine's clock"
    if code in _OTHER_NAME:
        what = "its certificate is for another name" + (f": {error.verify_message}" if error.verify_message else "")
        return what.rstrip("."), "write the address with a name that the certificate is for"
    said = error.verify_message or error.strerror or str(error)
    return (
        f"its certificate is not accepted: {said}",
        f"checked against {tls.trusted}; other ones are given as {_OPTION}",
    )


def _stamp(path: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - a path stays the string it is given as
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _truststore() -> Any:
    try:
        import truststore  # noqa: PLC0415 - an extra, and only for https
    except ImportError:
        return None
    return truststore
