"""TLS towards upstreams."""

import ssl
from pathlib import Path


def client_context(*, verify: bool, ca_bundle: str, client_cert: str) -> ssl.SSLContext:
    """A context for https upstreams.

    Args:
        verify: False accepts any certificate.
        ca_bundle: PEM file that replaces the system's authorities; empty keeps them.
        client_cert: `both.pem`, or `cert.pem,key.pem`; empty sends none.

    Raises:
        OSError: A file cannot be read.
        ssl.SSLError: A file is not what it should be.
    """
    context = ssl.create_default_context(cafile=_existing(ca_bundle) if ca_bundle else None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_cert:
        certificate, _, key = client_cert.partition(",")
        context.load_cert_chain(_existing(certificate), _existing(key) if key else None, password=refuse_pass_phrase)
    context.set_alpn_protocols(["http/1.1"])
    return context


def refuse_pass_phrase() -> str:
    """Stand where OpenSSL would ask at the terminal for a key's pass phrase, and wait for somebody to type it.

    Raises:
        OSError: Always.
    """
    raise OSError("its key is under a pass phrase")


def _existing(file: str) -> str:
    # The ssl module's own error names no file.
    path = Path(file.strip()).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    return str(path)
