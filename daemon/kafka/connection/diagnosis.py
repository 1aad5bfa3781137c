"""Why there is no connection: kafka-python says only that it timed out, so the way in is tried step by step.

Address, TLS, SASL mechanism, login; the first step that fails is what is said, with the setting to change.
"""

from __future__ import annotations

import socket
import ssl
import struct
from contextlib import closing

from kafka.cluster import get_ip_port_afi

from anomalyd.daemon.config.config import KafkaConfig, Security

_TIMEOUT_S = 2.0

# Keys of Kafka's protocol, and what SaslHandshake answers.
_API_VERSIONS, _SASL_HANDSHAKE, _SASL_AUTHENTICATE = 18, 17, 36
_UNSUPPORTED_MECHANISM, _ILLEGAL_STATE = 33, 34


def diagnose(config: KafkaConfig) -> str | None:
    """Say why the first broker that can be reached does not let us in; None where nothing is found."""
    for server in config.bootstrap_servers:
        host, port, _ = get_ip_port_afi(server)
        try:
            found = _diagnose(host, port, config.security)
        except OSError:
            continue
        if found is not None:
            return f"{server}: {found}"
    return None


def _diagnose(host: str, port: int, security: Security) -> str | None:
    wants_tls = security.protocol.endswith("SSL")
    opened, fault = _open(host, port, security)
    if opened is None:
        if wants_tls and _speaks_kafka(host, port):
            return (
                f"it does not speak TLS, and kafka.security.protocol is {security.protocol}; set PLAINTEXT "
                "or SASL_PLAINTEXT, or give the port that speaks TLS"
            )
        return fault
    with closing(opened):
        if not _answers(opened):
            return _silent(host, port, security)
        return _login(opened, security)


def _open(host: str, port: int, security: Security) -> tuple[socket.socket | None, str | None]:
    """Connect, with TLS where it is configured; what is wrong where that fails."""
    plain = socket.create_connection((host, port), _TIMEOUT_S)
    if not security.protocol.endswith("SSL"):
        return plain, None
    try:
        context = ssl.create_default_context(cafile=security.ca_file)
        context.check_hostname = security.check_hostname
        if security.cert_file is not None:
            secret = security.key_password
            password = None if secret is None else secret.get_secret_value()
            context.load_cert_chain(security.cert_file, security.key_file, password)
    except OSError as error:  # ssl.SSLError is one
        plain.close()
        return None, f"a file of kafka.security (ca_file, cert_file, key_file) cannot be used: {error}"
    try:
        return context.wrap_socket(plain, server_hostname=host), None
    except ssl.SSLCertVerificationError as error:
        plain.close()
        if "ostname" in error.verify_message or "IP address" in error.verify_message:
            return None, (
                f"its certificate is for another name ({error.verify_message}); give that name in "
                "kafka.bootstrap_servers, or set kafka.security.check_hostname: false"
            )
        return None, (
            f"its certificate is not trusted ({error.verify_message}); set kafka.security.ca_file to the CA "
            "that signed it"
        )
    except OSError as error:
        plain.close()
        return None, (
            f"the TLS handshake fails ({error}); where the broker asks for a certificate, set "
            "kafka.security.cert_file and key_file"
        )


def _silent(host: str, port: int, security: Security) -> str | None:
    """Say what a broker is that hangs up at the first request."""
    if not security.protocol.endswith("SSL") and _speaks_tls(host, port):
        return (
            f"it speaks TLS, and kafka.security.protocol is {security.protocol}; set SSL or SASL_SSL, and "
            "kafka.security.ca_file"
        )
    return "it hangs up at the first request: it may be no Kafka broker; check kafka.bootstrap_servers"


def _login(opened: socket.socket, security: Security) -> str | None:
    wants_sasl = security.protocol.startswith("SASL")
    mechanism = security.sasl_mechanism
    error, mechanisms = _handshake(opened, mechanism if wants_sasl else "PLAIN")
    if not wants_sasl:
        if error in (0, _UNSUPPORTED_MECHANISM):
            wanted = "SASL_SSL" if security.protocol == "SSL" else "SASL_PLAINTEXT"
            return (
                f"it wants a login ({', '.join(mechanisms) or 'SASL'}), and kafka.security.protocol is "
                f"{security.protocol}; set {wanted}, sasl_mechanism, username and password"
            )
        return None
    if error == _ILLEGAL_STATE:
        return (
            f"it asks for no login, and kafka.security.protocol is {security.protocol}; set "
            f"{security.protocol.removeprefix('SASL_').replace('SASL', '')}, or give the port that does"
        )
    if error == _UNSUPPORTED_MECHANISM:
        return (
            f"it does not take {mechanism}, but {', '.join(mechanisms) or 'others'}; set "
            "kafka.security.sasl_mechanism"
        )
    login = f"the login of user {security.username!r} ({mechanism} over {security.protocol})"
    remedy = "check kafka.security.username and password"
    if mechanism != "PLAIN":  # SCRAM takes turns; all but the login has been found to be right
        return f"it takes {mechanism}, and refuses {login}; {remedy}"
    refused = _authenticate(opened, security)
    return None if refused is None else f"it refuses {login}: {refused}; {remedy}"


def _handshake(opened: socket.socket, mechanism: str) -> tuple[int, list[str]]:
    """Ask for a mechanism: Kafka's error code, and the mechanisms there are."""
    answer = _ask(opened, _SASL_HANDSHAKE, 1, _text(mechanism))
    if len(answer) < 6:
        return -1, []
    error, count = struct.unpack_from(">hi", answer)
    names, at = [], 6
    for _ in range(max(0, count)):
        (length,) = struct.unpack_from(">h", answer, at)
        names.append(answer[at + 2 : at + 2 + length].decode(errors="replace"))
        at += 2 + length
    return error, names


def _authenticate(opened: socket.socket, security: Security) -> str | None:
    """Log in with PLAIN; why it is refused."""
    secret = security.password.get_secret_value() if security.password else ""
    token = f"\0{security.username}\0{secret}".encode()
    answer = _ask(opened, _SASL_AUTHENTICATE, 0, struct.pack(">i", len(token)) + token)
    if len(answer) < 4:
        return "it hangs up"
    error, length = struct.unpack_from(">hh", answer)
    return None if error == 0 else answer[4 : 4 + max(0, length)].decode(errors="replace")


def _answers(opened: socket.socket) -> bool:
    # 0 is the error code; a broker that speaks TLS answers with an alert, which is no such thing.
    answer = _ask(opened, _API_VERSIONS, 0, b"")
    return len(answer) >= 6 and answer[:2] in (b"\x00\x00", b"\x00\x23")


def _speaks_kafka(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), _TIMEOUT_S) as opened:
            return _answers(opened)
    except OSError:
        return False


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only whether it speaks TLS; nothing is sent
    try:
        plain = socket.create_connection((host, port), _TIMEOUT_S)
        with context.wrap_socket(plain, server_hostname=host):
            return True
    except OSError:
        return False


def _ask(opened: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """Send a request of Kafka's protocol; what follows the answer's number, nothing where it hangs up."""
    request = struct.pack(">hhih", key, version, 1, -1) + body
    try:
        opened.sendall(struct.pack(">i", len(request)) + request)
        head = _exactly(opened, 8)
        (length,) = struct.unpack_from(">i", head)
        return _exactly(opened, min(length, 65_536) - 4) if 4 < length < 2**24 else b""
    except (OSError, EOFError):
        return b""


def _exactly(opened: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        some = opened.recv(size - len(found))
        if not some:
            raise EOFError
        found += some
    return found


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
