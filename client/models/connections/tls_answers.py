"""Why no TLS connection comes about, in words: whose certificate is at fault, or who speaks TLS and who does not.

gRPC tells of a failed handshake and of a closed connection alike, or by OpenSSL's own words. So the handshake is made
once more by Python's TLS, which says more; nothing else is sent.
"""

import re
import socket
import ssl

from cocon.client.models.connections.credentials import Credentials
from cocon.client.models.target import Target

__all__ = ["told_by_tls"]

_TIMEOUT_S = 2.0
# What a server says of itself first, once it takes the connection.
_FIRST_BYTES = 9


def told_by_tls(target: Target, credentials: Credentials) -> str | None:
    """What keeps a server from being asked, which TLS is about; None where that is something else.

    Asked directly, without a proxy.
    """
    if not target.host:
        return None
    if target.is_tls:
        return _why_refused(target, credentials)
    return (
        f"server {target.name} speaks TLS, and --url names it without; write --url grpcs://{target.name}"
        if _speaks_tls(target)
        else None
    )


def _why_refused(target: Target, credentials: Credentials) -> str | None:
    try:
        _handshake(target, credentials.tls_context())
    except ssl.SSLCertVerificationError as error:
        return _distrusted(target, credentials, error.verify_message.rstrip("."))
    except ssl.SSLError as error:
        reason = (error.reason or str(error)).replace("_", " ").lower()
        if "alert" in reason:
            return _not_let_in(target, credentials, reason)
        return f"server {target.name} speaks no TLS ({reason}); write --url {target.name} if the network is trusted"
    except ConnectionError:  # hung up, without a word
        if _speaks_tls(target):
            return _not_let_in(target, credentials, "it hangs up")
        return None
    except OSError:
        return None
    return None


def _handshake(target: Target, context: ssl.SSLContext) -> None:
    """Connect until the server has taken what it was shown, which it says only after that."""
    with (
        socket.create_connection((target.host, target.port), timeout=_TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=target.host) as connection,
    ):
        if not connection.recv(_FIRST_BYTES):
            raise ConnectionResetError


def _speaks_tls(target: Target) -> bool:
    """Whether what listens there takes part in a handshake, whoever it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent
    context.set_alpn_protocols(["h2"])
    try:
        with socket.create_connection((target.host, target.port), timeout=_TIMEOUT_S) as plain:
            context.wrap_socket(plain, server_hostname=target.host).close()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    return True


def _distrusted(target: Target, credentials: Credentials, reason: str) -> str:
    """A certificate that does not show that it is the server that was named."""
    if re.search("expired|not yet valid", reason):
        remedy = "the server needs a new one, or this machine's clock is wrong"
    elif re.search("mismatch|not valid for", reason):
        remedy = "name the server as its certificate does"
    elif credentials.ca:
        remedy = f"--ca '{credentials.ca}' must hold the certificate of who signed it"
    else:
        remedy = "name the certificate of who signed it: --ca FILE"
    return f"the certificate of server {target.name} is refused: {reason}; {remedy}"


def _not_let_in(target: Target, credentials: Credentials, reason: str) -> str:
    """A server that wants to see another certificate than it was shown."""
    if credentials.cert:
        return (
            f"server {target.name} refuses the certificate --cert '{credentials.cert}' ({reason}); name one it trusts"
        )
    return f"server {target.name} asks who you are ({reason}); show a certificate: --cert FILE --key FILE"
