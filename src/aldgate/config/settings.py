"""Every setting there is, its default and what it is for: one frozen tree, read once.

The line beneath a field is its help; `.env.example` and the reference page are made of these lines. Tables (`providers`,
`devices`, `engines`, `aliases`, `routes`, `prices`, `models`, `server.listen`, `auth.issuers`) live in the file; every other
field also has an environment name.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from aldgate.config.devices import DeviceEntry
from aldgate.config.issuers import IssuerEntry
from aldgate.config.models import ModelEntry
from aldgate.config.prices import PriceEntry
from aldgate.config.redaction import redacted
from aldgate.config.secret import Secret
from aldgate.core.plans import RouteEntry

Port = Annotated[int, Meta(ge=0, le=65_535)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Tokens = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Bytes = Annotated[int, Meta(ge=1, le=2**50)]
Seconds = Annotated[float, Meta(gt=0, le=604_800)]


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One address the gate answers on. What it leaves out is taken from `[server]`."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: Port
    """Port to bind; 0 takes any free one."""
    tls_cert: str = ""
    """PEM certificate chain; empty speaks plain HTTP."""
    tls_key: str = ""
    """PEM private key of the certificate."""
    faces: Literal["all", "ops"] = "all"
    """What it serves: everything, or health and metrics alone."""


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How callers reach the gate, and how much they may send."""

    host: str = "127.0.0.1"
    """Address to bind."""
    port: Port = 8000
    """Port to bind; 0 takes any free one."""
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    """Processes that serve; more than 1 needs PostgreSQL and Valkey."""
    tls_cert: str = ""
    """PEM certificate chain; with it the gate speaks HTTPS."""
    tls_key: str = ""
    """PEM private key of the certificate."""
    listen: tuple[Listener, ...] = ()
    """Addresses instead of host and port; in the environment `HOST:PORT`, `:PORT` or `:PORT/ops`, separated by commas."""
    max_body_bytes: Bytes = 33_554_432
    """Largest request body; a larger one is 413."""
    max_reply_bytes: Bytes = 67_108_864
    """Largest reply read from a provider as a whole."""
    max_inflight_bytes: Bytes = 536_870_912
    """Request bodies held at once over all callers; beyond it callers get 503."""
    max_head_bytes: Annotated[int, Meta(ge=1024, le=16_777_216)] = 65_536
    """Largest request line and headers together; larger is 431."""
    head_timeout_s: Seconds = 10.0
    """Seconds a caller has to send the request head."""
    body_min_bytes_per_s: Annotated[int, Meta(ge=0, le=2**40)] = 1024
    """Slowest body accepted, on average; 0 accepts any."""
    keep_alive_s: Seconds = 75.0
    """Seconds an idle connection is kept."""
    max_connections: Count = 10_000
    """Connections at once; further ones get 503."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the gate and use its cookie, separated by commas; empty is any port of this machine's."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies whose `X-Forwarded-For` or `Forwarded` is believed, as in `10.0.0.0/8`."""
    drain_s: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    """Seconds that calls under way may take to end when the gate stops."""

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The addresses to bind: `listen`, or the one of `host` and `port`."""
        one = Listener(host=self.host, port=self.port, tls_cert=self.tls_cert, tls_key=self.tls_key)
        return self.listen or (one,)


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may administer the gate, who vouches for others, and how long a login lasts."""

    admin_key: Secret | None = None
    """Admin key, 32 characters or more, as it is or as `env:NAME` or `file:/path`; unset, one is made at the first start."""
    admin_secret: Secret | None = None
    """A second admin key, as `X-Admin-Secret` or where any key may stand; 32 characters or more."""
    open_registration: Literal["loopback", "never", "always"] = "loopback"
    """Who may make a key without one: programs on this machine while nobody else reaches the gate, nobody, or everybody."""
    caller_key: Secret | None = None
    """A key of callers that stands in the environment."""
    caller_keys: Secret | None = None
    """Several such keys, separated by commas."""
    caller_policies: Secret | None = None
    """What each of these keys may do: a JSON object of keys and policies."""
    client_config_dir: str = ""
    """Directory of clients' JSON files; empty: clients are in the database alone."""
    session_idle_s: Seconds = 43_200.0
    """Seconds without a request after which a login is over."""
    session_lifetime_s: Annotated[float, Meta(gt=0, le=31_536_000)] = 604_800.0
    """Seconds after which any login is over."""
    encryption_key: Secret | None = None
    """What seals users' provider credentials, likewise; old ones may follow, each behind a space. Unset, one is made and kept."""
    public_url: str = ""
    """Where browsers find the gate, for logins that come back to it; empty takes the address they used, on loopback only."""
    issuers: dict[str, IssuerEntry] = {}
    """Who else may say who somebody is: issuers of JSON Web Tokens."""


class Ledger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How usage is written down."""

    durability: Literal["batched", "strict"] = "batched"
    """`batched` writes within the window; `strict` answers only when the row is on disk."""
    window_s: Annotated[float, Meta(gt=0, le=60)] = 0.2
    """Seconds of usage written in one transaction."""
    on_failure: Literal["continue", "refuse"] = "continue"
    """While the database is away: serve on and write later, or refuse calls."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds for callers who set none."""

    default_max_tokens: Tokens = 4096
    """Output tokens asked for when a budget needs a bound and the caller gave none."""
    stream_step_tokens: Tokens = 1024
    """Output tokens, per choice, that a stream under a hard budget reserves at a time."""
    recall_ms: Annotated[int, Meta(ge=1, le=60_000)] = 50
    """Milliseconds that other processes have to return what they do not hold of a budget before a call is refused."""


class Budgets(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told when budgets are being spent."""

    alerts: str = ""
    """Percentages of a budget at which its operator is told, once per period, as in `50,80,100`; empty tells nobody."""
    alert_url: str = ""
    """Where to send alerts by POST, besides the log."""
    alert_secret: Secret | None = None
    """Signs what is sent there, 32 characters or more, as it is or as `env:NAME` or `file:/path`."""


class Files(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What callers may keep with the gate, in the data directory."""

    max_bytes: Bytes = 536_870_912
    """Largest file; a larger one is 413."""
    quota_bytes: Bytes = 10_737_418_240
    """All files of one key together; beyond it an upload is 403."""


class Artifacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What calls make and callers bring along: pictures, films, sounds, meshes."""

    url: str = ""
    """Where they are kept: empty is the data directory, `s3://bucket/prefix` a bucket."""
    endpoint: str = ""
    """Of a bucket that is not Amazon's: `https://host:port`."""
    region: str = "us-east-1"
    """Of the bucket."""
    access_key_id: str = ""
    """Of the bucket; empty takes the machine's own role."""
    secret_access_key: Secret | None = None
    """Of the bucket, as it is or as `env:NAME` or `file:/path`."""
    max_bytes: Bytes = 536_870_912
    """Largest one; a larger one is 413."""
    quota_bytes: Bytes = 10_737_418_240
    """All of one key together; beyond it uploads and jobs are 403."""
    lifetime_s: Annotated[float, Meta(ge=0, le=315_360_000)] = 0.0
    """Kept for so many seconds; 0: until they are deleted, or as long as policies allow."""
    link_s: Annotated[float, Meta(gt=0, le=604_800)] = 86_400.0
    """Seconds that links in answers are good for."""
    inline_bytes: Annotated[int, Meta(ge=0, le=16_777_216)] = 262_144
    """Largest one that stands in an answer of `/v1/generate`, in base64; a larger one is linked."""


class Images(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pictures as callers of OpenAI's API and of the Local AI Gateway ask for them."""

    backend: Literal["", "mock", "http_a1111", "http_openai_images"] = ""
    """Who makes them where nobody is named: what is built in, AUTOMATIC1111, a server like OpenAI's; empty: the first engine."""
    backend_class: Annotated[str, Meta(pattern="^[^/: ]+$")] = "gpu_heavy"
    """The name that the backend has as an engine."""
    http_base_url: str = "http://127.0.0.1:7860"
    """Where the backend listens."""
    http_timeout_s: Seconds = 120.0
    """Seconds that the backend may take for one job."""
    openai_model: str = ""
    """What a server like OpenAI's is asked for where callers name no model; empty: what it likes."""
    max_pixels: Annotated[int, Meta(ge=256, le=2**31)] = 33_554_432
    """Width times height of one picture that is asked for; more is 400."""
    when_busy: Literal["refuse", "queue"] = "refuse"
    """Callers who wait for an engine that has enough to do: 429 at once, or their turn later. Background jobs always queue."""
    concurrency: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Jobs that an engine may have before it has enough to do; 0: as many as it has places, and at least 2."""
    ui_dir: str = ""
    """Directory that pictures are put into besides, with links to `/ui/images/...`; empty: links are to artifacts."""
    ui_ttl_s: Seconds = 900.0
    """Seconds that files there and their links are good for."""


class Responses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Responses that are kept for whoever comes back for them."""

    quota_bytes: Bytes = 4_294_967_296
    """All kept responses of one key together; beyond it the oldest go, but none that a younger one continues."""
    max_background: Count = 100
    """Responses of one key that run in the background at once; beyond it a new one is 429."""


class Jobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pictures, film, sound and whatever else takes time."""

    worker: bool = True
    """Whether the gate works on them itself; otherwise `aldgate worker` does, in processes of its own."""
    lease_s: Annotated[float, Meta(ge=1, le=3_600)] = 30.0
    """A job whose worker was not heard of for so long is taken over by another."""
    lifetime_s: Annotated[float, Meta(ge=0, le=315_360_000)] = 2_592_000.0
    """What has ended is forgotten after so many seconds, or as soon as policies or `artifacts.lifetime_s` say; 0: not by this."""


class Batches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls that the gate makes by itself, from files."""

    concurrency: Annotated[int, Meta(ge=1, le=1000)] = 16
    """Lines called at once, over all batches."""
    max_lines: Count = 50_000
    """Lines in one batch."""
    max_unfinished: Count = 100
    """Batches of one key that wait or run; beyond it a new one is 429."""


class Webhooks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told when jobs have ended: URLs that callers name."""

    allow_private: bool = False
    """Call also plain `http://`, private networks and this machine; otherwise callers could reach what only the gate can."""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 15.0
    """Seconds that a receiver has to answer."""
    attempts: Annotated[int, Meta(ge=1, le=20)] = 8
    """How often one is sent before it is given up; the eighth is a day after the first."""


class Log(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes to standard error. No level logs bodies or credentials."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    """Least severity that is logged."""
    format: Literal["json", "text"] = "json"
    """One JSON object per line, or text for people."""
    calls: bool = False
    """Log one line per call."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How providers are found that nobody configured."""

    environment: bool = True
    """Add a provider for each well-known key in the environment, like `OPENAI_API_KEY`."""
    local: bool = True
    """Look for model servers on this machine."""
    interval_s: Seconds = 300.0
    """Seconds between two looks."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the gate reaches providers."""

    verify_tls: bool = True
    """Check providers' certificates."""
    ca_bundle: str = ""
    """PEM file of certificate authorities to trust instead of the system's."""
    client_cert: str = ""
    """PEM file, or certificate and key separated by a comma, to show to providers."""
    connect_timeout_s: Seconds = 5.0
    """Seconds to connect."""
    first_byte_timeout_s: Seconds = 300.0
    """Seconds from the request sent to the reply's head."""
    idle_timeout_s: Seconds = 120.0
    """Seconds of silence within a reply."""
    total_timeout_s: Seconds = 1800.0
    """Seconds for a whole attempt."""
    max_connections: Count = 1000
    """Connections at once to one provider."""


class Routing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for models that no route is configured for. `[routes.NAME]` says the rest."""

    default_model: str = ""
    """What callers who ask for `default` get; empty is the first model that chats."""
    default_provider: str = ""
    """The provider of that model."""
    retries: Annotated[int, Meta(ge=0, le=10)] = 0
    """How often a provider that was away or overloaded is asked again; callers' libraries already do so themselves."""


class Cache(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers that are kept and given again to the same request of the same key."""

    max_bytes: Bytes = 67_108_864
    """Memory for kept answers, over all keys."""
    models: dict[str, str] = {}
    """How long answers are kept, by the name of the model that callers use. Routes say it in their own table."""
    unset_temperature: bool = False
    """Keep, for these and for routes, also answers to requests that name no temperature, which most models answer by chance."""


class Guardrails(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What policies' guardrails need beyond what policies say."""

    webhook_secret: Secret | None = None
    """Signs what guardrails ask webhooks; 24 characters or more, as it is or as `env:NAME` or `file:/path`. Unset asks none."""


class Valkey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where several processes share rates and concurrency."""

    url: str = ""
    """`valkey://`, `redis://`, `valkeys://` or `unix://` URL; empty counts in this process alone."""
    timeout_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    """Milliseconds within which it must answer; later it counts as away."""
    on_failure: Literal["closed", "open"] = "closed"
    """While it is away: refuse calls that have limits (503), or let them through uncounted."""
    open_limits: tuple[str, ...] = ()
    """Limits that let calls through then although others refuse, separated by commas, as in `rpm, tpm`."""
    closed_limits: tuple[str, ...] = ()
    """Limits that refuse them then although others do not."""
    ca_bundle: str = ""
    """PEM file of certificate authorities to trust instead of the system's, for `valkeys://`."""


class Reload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a running gate learns that its configuration has changed. SIGHUP and `POST /admin/reload` always work."""

    watch: bool = True
    """Look at the files of the configuration, and read them again when they have changed."""
    interval_s: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    """Seconds between two looks; a change is taken once two looks agree."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Where settings were read, so that they can be read again. Arguments as of `load`."""

    flags: Mapping[str, str]
    environment: Mapping[str, str] | None
    directory: Path
    file: Path | None
    """The file that was read, if there was one; then there must always be one."""


NOT_SETTINGS = frozenset({"environment", "reading"})
"""Fields of `Settings` that nobody sets."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. `repr` redacts secrets and leaves out what is no setting."""

    data: str = "~/.local/share/aldgate"
    """Directory of the database and everything else that is kept; follows `XDG_DATA_HOME`."""
    store: str = ""
    """Database URL; empty is the SQLite file `aldgate.db` in the data directory."""
    server: Server = Server()
    auth: Auth = Auth()
    ledger: Ledger = Ledger()
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    files: Files = Files()
    artifacts: Artifacts = Artifacts()
    images: Images = Images()
    responses: Responses = Responses()
    jobs: Jobs = Jobs()
    batches: Batches = Batches()
    webhooks: Webhooks = Webhooks()
    log: Log = Log()
    discovery: Discovery = Discovery()
    upstream: Upstream = Upstream()
    reload: Reload = Reload()
    cache: Cache = Cache()
    guardrails: Guardrails = Guardrails()
    routing: Routing = Routing()
    valkey: Valkey = Valkey()
    devices: dict[str, DeviceEntry] = {}
    """What engines work on: GPUs, here or on other machines."""
    engines: dict[str, dict[str, Any]] = {}
    """Engines by name; each engine's own type reads its table."""
    providers: dict[str, dict[str, Any]] = {}
    """Providers by name; each provider's own type reads its table."""
    aliases: dict[str, str] = {}
    """Other names for models and routes: alias to model."""
    routes: dict[str, RouteEntry] = {}
    """Names with several deployments behind them."""
    prices: dict[str, PriceEntry] = {}
    """Prices by model, in dollars; they beat the catalogue's."""
    models: dict[str, ModelEntry] = {}
    """What is known of models, by model; it beats what providers say."""
    environment: Mapping[str, str] = MappingProxyType({})
    """The process environment over `.env`, for whoever resolves references later; not a setting."""
    reading: Reading | None = None
    """Where all this was read; not a setting."""

    def __repr__(self) -> str:
        return f"Settings({redacted(self)!r})"


def show(settings: Settings) -> dict[str, Any]:
    """All settings as plain values with every secret as `***`: what `aldgate config show` prints."""
    return redacted(settings)
