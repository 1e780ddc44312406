"""Environment names of the gateways that came before, and the setting each one sets now.

An `ALDGATE_` name beats them; two of them that disagree stop the start. `docs/migrating.md` lists these and the rest.
"""

from collections.abc import Callable
from typing import NamedTuple

PERSONALPLEX = "PersonalPlex API Gateway"
PORT_1301 = "API Gateway (Port 1301)"
PLUGGABLY = "Pluggably LLM API Gateway"
LOCAL_AI = "Local AI Gateway"
DSP = "DSP AI Gateway"


class SeedName(NamedTuple):
    """One name: the setting it sets, which gateways read it, and how its value is put in our terms."""

    path: str
    gateways: tuple[str, ...]
    translate: Callable[[str], str] = str


def _body_limit(text: str) -> str:
    # Zero was "no limit" there. Here a body is always bounded: by what the gate holds at once.
    return "536870912" if text.strip() == "0" else text


def _kibibytes(text: str) -> str:
    text = text.strip()
    return str(int(text) * 1024) if text.isascii() and text.isdecimal() else text


SEED_NAMES: dict[str, SeedName] = {
    "API_PORT": SeedName("server.port", (PORT_1301,)),
    "LLM_API_PORT": SeedName("server.port", (PLUGGABLY,)),
    "LLM_API_HOST": SeedName("server.host", (PLUGGABLY,)),
    "GATEWAY_TLS_CERT_PATH": SeedName("server.tls_cert", (LOCAL_AI,)),
    "GATEWAY_TLS_KEY_PATH": SeedName("server.tls_key", (LOCAL_AI,)),
    "MAX_REQUEST_BYTES": SeedName("server.max_body_bytes", (LOCAL_AI,), _body_limit),
    "LOG_LEVEL": SeedName("log.level", (PORT_1301, DSP)),
    "LLM_API_LOG_LEVEL": SeedName("log.level", (PLUGGABLY,)),
    "DATABASE_URL": SeedName("store", (PORT_1301,)),
    "LLM_API_DATABASE_URL": SeedName("store", (PLUGGABLY,)),
    "BACKEND_VERIFY_TLS": SeedName("upstream.verify_tls", (LOCAL_AI,)),
    "BACKEND_CA_BUNDLE": SeedName("upstream.ca_bundle", (LOCAL_AI,)),
    "DEFAULT_MODEL": SeedName("routing.default_model", (DSP,)),
    "LLM_API_DEFAULT_MODEL": SeedName("routing.default_model", (PLUGGABLY,)),
    "DEFAULT_PROVIDER": SeedName("routing.default_provider", (DSP,)),
    "ADMIN_SECRET": SeedName("auth.admin_secret", (PERSONALPLEX,)),
    "LLM_API_API_KEY": SeedName("auth.caller_key", (PLUGGABLY,)),
    "GATEWAY_BEARER_TOKEN": SeedName("auth.caller_keys", (LOCAL_AI,)),
    "GATEWAY_BEARER_TOKENS": SeedName("auth.caller_keys", (LOCAL_AI,)),
    "GATEWAY_TOKEN_POLICIES_JSON": SeedName("auth.caller_policies", (LOCAL_AI,)),
    "CLIENT_CONFIG_DIR": SeedName("auth.client_config_dir", (DSP,)),
    "USER_SESSION_TTL_SEC": SeedName("auth.session_idle_s", (LOCAL_AI,)),
    "LLM_API_ARTIFACT_EXPIRY_SECS": SeedName("artifacts.link_s", (PLUGGABLY,)),
    "LLM_API_ARTIFACT_INLINE_THRESHOLD_KB": SeedName("artifacts.inline_bytes", (PLUGGABLY,), _kibibytes),
    "LLM_API_ENCRYPTION_KEY": SeedName("auth.encryption_key", (PLUGGABLY,)),
    "IMAGES_BACKEND": SeedName("images.backend", (LOCAL_AI,)),
    "IMAGES_BACKEND_CLASS": SeedName("images.backend_class", (LOCAL_AI,)),
    "IMAGES_HTTP_BASE_URL": SeedName("images.http_base_url", (LOCAL_AI,)),
    "IMAGES_HTTP_TIMEOUT_SEC": SeedName("images.http_timeout_s", (LOCAL_AI,)),
    "IMAGES_OPENAI_MODEL": SeedName("images.openai_model", (LOCAL_AI,)),
    "IMAGES_MAX_PIXELS": SeedName("images.max_pixels", (LOCAL_AI,)),
    "UI_IMAGE_DIR": SeedName("images.ui_dir", (LOCAL_AI,)),
    "UI_IMAGE_TTL_SEC": SeedName("images.ui_ttl_s", (LOCAL_AI,)),
    "PUBLIC_BASE_URL": SeedName("auth.public_url", (LOCAL_AI,)),
    "BACKEND_CLIENT_CERT": SeedName("upstream.client_cert", (LOCAL_AI,)),
}
