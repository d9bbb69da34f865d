"""The configuration: TOML in, frozen values out, and everything that is wrong with it said at once, with its path."""

from __future__ import annotations

import base64
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

import bridges
from app.lti.platform import Platform
from app.origins import Origin, origins
from app.zonerules import prefer_newest

_PLAIN_ADDRESS = r"^([A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.-]+)?$"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` holds one line for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the configuration cannot be used:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Server(_Section):
    host: str = "127.0.0.1"
    """The address to listen on. On any but a loopback one, whatever writes needs a token (calbridge token add NAME)."""
    port: int = Field(default=8600, ge=1, le=65535)
    """The port to listen on."""
    public_url: str = ""
    """How the outside reaches this server, for the links on the pages (https://cal.example.edu); empty: as asked."""
    proxies: tuple[str, ...] = ()
    """Your own proxies, as addresses or networks (127.0.0.1, 10.1.0.0/16): what they say of the client is believed."""
    language: Literal["en", "de", "nb", "sv"] = "en"
    """The language of pages for people who chose none, and whose browser asks for none of these."""

    @field_validator("proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"'{each}' is no address and no network: write 10.1.0.0/16") from None
        return value


class Log(_Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    """What is told on standard error: info has a line for each request and each job."""
    form: Literal["text", "json"] = "text"
    """Text for people, or JSON for programs."""


class SignIn(_Section):
    issuer: str = ""
    """Where people sign in: the issuer of your OpenID Connect provider (https://login.example.edu/realms/x), or none"""
    client_id: str = ""
    """What the provider calls this calbridge. Its redirect address is PUBLIC_URL/sign-in/back."""
    client_secret: SecretStr = SecretStr("")
    """The secret that belongs to it."""
    claim: str = "groups"
    """The claim that says what a person is; a dot leads into it (realm_access.roles)."""
    admins: list[str] = []
    """Its values that make an administrator."""
    teachers: list[str] = []
    """Its values that make a teacher, who may import."""
    teachers_into: list[str] = ["*/course/*"]
    """The calendars that teachers may import into, as patterns."""
    hours: int = Field(default=10, ge=1, le=24 * 30)
    """How long one stays signed in."""

    @field_validator("issuer")
    @classmethod
    def _secure(cls, value: str) -> str:
        parts = urlsplit(value)
        loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if value and parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise ValueError("is no https address")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> SignIn:
        if bool(self.issuer) != bool(self.client_id):
            raise ValueError("issuer and client_id go together")
        return self


class Store(_Section):
    url: str = "sqlite:///calbridge.sqlite3"
    """The database, as an SQLAlchemy URL. A relative SQLite path is relative to where calbridge is started."""
    migrate: bool = True
    """Whether a start brings the database to the shape it needs; if not, that is left to 'calbridge migrate'."""
    key: SecretStr = SecretStr("")
    """Encrypts stored secrets (openssl rand -base64 32; a new one before the old); empty: a file beside SQLite's."""

    @field_validator("key")
    @classmethod
    def _of_32_bytes(cls, value: SecretStr) -> SecretStr:
        for key in value.get_secret_value().split():
            if not _is_key(key):
                raise ValueError("is no key of 32 bytes in base64: make one with 'openssl rand -base64 32'")
        return value


def _is_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text)) == 32
    except ValueError:
        return False


class Feeds(_Section):
    back_days: int = Field(default=14, ge=0, le=3650)
    """How many days back a feed reaches."""
    ahead_days: int = Field(default=183, ge=1, le=3650)
    """How many days ahead a feed reaches. Google drops events of feeds above 1 MB."""
    refresh_minutes: int = Field(default=60, ge=1, le=10080)
    """How old a calendar's reading may grow before it is read from its LMS again: what lies in the near days …"""
    far_minutes: int = Field(default=360, ge=1, le=10080)
    """… and the rest of it."""
    near_days: int = Field(default=42, ge=1, le=3650)
    """How many days around today are the near ones."""
    adaptive: bool = True
    """Read twice as often after a change, less often at night and where nothing changes for days (4 times at most)."""
    grace_days: int = Field(default=14, ge=0, le=3650)
    """How many days a calendar is shown that its LMS denies or has no more. Then its feed says so and shows nothing."""
    embed: list[str] = ["*"]
    """Sites whose pages may frame the list of a public feed, as https://learn.example.edu; * is all, [] is nobody."""

    @field_validator("embed")
    @classmethod
    def _sites(cls, sites: list[str]) -> list[str]:
        for site in sites:
            if not re.fullmatch(r"\*|https?://(?:\*\.)?[A-Za-z0-9.-]+(?::\d{1,5})?", site):
                raise ValueError(f"'{site}' is no site: write it as https://learn.example.edu")
        return sites

    @property
    def every(self) -> timedelta:
        return timedelta(minutes=self.refresh_minutes)


class Imports(_Section):
    ahead_days: int = Field(default=365, ge=1, le=3650)
    """How many days ahead an import writes occurrences when it names no window of its own."""
    max_bytes: int = Field(default=10 * 2**20, ge=1024)
    """The largest calendar file taken, in bytes."""
    max_events: int = Field(default=20_000, ge=1)
    """The most components that a file may hold."""
    max_occurrences: int = Field(default=50_000, ge=1)
    """The most occurrences that a file may expand to within the window."""
    sub_daily: bool = False
    """Whether events may repeat within a day (FREQ=HOURLY, MINUTELY, SECONDLY); each rule is costed all the same."""
    expand_seconds: float = Field(default=20, gt=0, le=600)
    """How long the events of one file may take to be laid out in time; what is left after that is reported."""
    partner: str = Field(default="calbridge", pattern=r"^[A-Za-z0-9_.]{1,40}$")
    """The first part of the keys that we give to events in an LMS. Never change it once something was written."""
    hold_share: float = Field(default=0.5, ge=0, le=1)
    """An import that would delete more than this share of what it wrote earlier waits for a yes …"""
    hold_count: int = Field(default=5, ge=0)
    """… if it is also more than this many events."""
    hold_hours: int = Field(default=24, ge=1, le=8760)
    """A plan that nobody said yes to for so long is given up: the facts that it stands on grow old."""
    keep_days: int = Field(default=30, ge=1, le=3650)
    """How long the file of a run is kept that was paused, left half-way or had events refused, to take it up again."""
    reserve: float = Field(default=0.2, ge=0, lt=1)
    """The share of an LMS account's quota of calls that imports leave to feeds."""
    hold_quota: bool = True
    """Whether a plan waits for a yes that the quota of calls would not last for."""
    drift: Literal["keep", "ask", "overwrite"] = "keep"
    """What becomes of what people change or delete of it in the LMS: it stays, waits for a yes, or is lost."""
    drift_hours: int = Field(default=24, ge=0, le=8760)
    """How often each calendar is compared with what imports wrote there, in hours; 0: never unasked."""


class Fetch(_Section):
    every_minutes: int = Field(default=60, ge=5, le=44640)
    """How often a subscribed calendar is pulled when its subscription says nothing else."""
    allow_hosts: tuple[str, ...] = ()
    """Hosts of your own that may lie in a closed network, as name or name:port: "timetable.intern:8080"."""
    http: bool = False
    """Whether calendars may be pulled over plain http as well."""
    ports: tuple[str, ...] = ("80", "443", "8000-8999")
    """The ports that calendars may be pulled from."""
    contact: str = Field(default="", pattern=r"^[!-~]{0,200}$")
    """Where those who run calendar servers can reach you, said in our user agent; empty: server.public_url."""
    microsoft_hosts: tuple[str, ...] = ("office365.com", "office.com", "outlook.com", "live.com")
    """Servers that answer errors to user agents they do not like: they, and hosts below them, get one that they do."""
    ca_file: str = ""
    """Certificates to trust in place of the public ones: a PEM file. Empty: the public ones."""
    max_bytes: int = Field(default=15 * 2**20, ge=1024)
    """The largest calendar pulled, in bytes after decompression; imports.max_bytes holds as well."""
    connect_seconds: float = Field(default=10, gt=0, le=60)
    """Longest wait for a connection."""
    read_seconds: float = Field(default=20, gt=0, le=120)
    """Longest silence within an answer."""
    total_seconds: float = Field(default=30, gt=0, le=600)
    """Longest time for one fetch, its redirects included."""

    @field_validator("ports", mode="before")
    @classmethod
    def _written(cls, value: object) -> object:
        """A single port may be written as the number that it is."""
        return [str(port) if type(port) is int else port for port in value] if isinstance(value, list) else value

    @field_validator("ports")
    @classmethod
    def _ranges(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for ports in value:
            first, _, last = ports.partition("-")
            if not (ports.isascii() and first.isdecimal() and (last or first).isdecimal()):
                raise ValueError(f"'{ports}' is no port: write '443' or '8000-8999'")
        return value

    @field_validator("ca_file")
    @classmethod
    def _there(cls, value: str) -> str:
        if value and not Path(value).is_file():
            raise ValueError(f"there is no file '{value}'")
        return value

    @property
    def open_ports(self) -> tuple[range, ...]:
        pairs = (ports.partition("-") for ports in self.ports)
        return tuple(range(int(first), int(last or first) + 1) for first, _, last in pairs)


class Mail(_Section):
    host: str = ""
    """The SMTP server that takes our mail to administrators: what waits for a yes, what has stopped. Empty: no mail."""
    port: int = Field(default=0, ge=0, le=65535)
    """Its port; 0 is 587 with starttls, 465 with tls, 25 with none."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted; none is for a server on this machine alone."""
    ca_file: str = ""
    """Certificates to trust in place of the public ones: a PEM file. Empty: the public ones."""
    user: str = ""
    """User name at the server, if it wants one."""
    password: SecretStr = SecretStr("")
    """The password that belongs to it."""
    sender: str = Field(default="", pattern=_PLAIN_ADDRESS)
    """The address that mail comes from: calbridge@example.edu."""
    to: tuple[Annotated[str, Field(pattern=_PLAIN_ADDRESS)], ...] = ()
    """The administrators' addresses. Whoever gets the mail can say yes to the plan that it tells of."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.host and not (self.sender and self.to):
            raise ValueError("with a host it needs a sender and, as to, at least one address")
        if self.host and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("security: mail to another machine is encrypted; write starttls or tls")
        return self


_OF_REDIS = r"^((rediss?|unix)://.+)?$"


class Jobs(_Section):
    url: str = Field(default="", pattern=r"^((rediss?|unix)://.+|sqlite:///.+)?$")
    """The queue that workers share: redis://HOST:6379/0; empty: beside a SQLite store, else each worker has its own."""
    threads: int = Field(default=8, ge=2, le=256)
    """What one worker does at a time."""
    stop_seconds: float = Field(default=25, ge=0, le=600)
    """How long a worker that is stopped finishes what it does; what takes longer is put back."""


class Cache(_Section):
    url: str = Field(default="", pattern=_OF_REDIS)
    """A Redis (redis://HOST:6379/1) in which web processes find the bodies that another has built; empty: none."""


class Keep(_Section):
    runs_days: int = Field(default=400, ge=1, le=36500)
    """How long runs, their plans, reports and journals are kept. An older run cannot be undone any more."""
    fetches_days: int = Field(default=400, ge=1, le=36500)
    """How long is kept what happened to subscriptions, time by time."""
    audit_days: int = Field(default=400, ge=1, le=36500)
    """How long is kept who did what."""
    answers_hours: int = Field(default=24, ge=1, le=8760)
    """How long an answer to a request with an Idempotency-Key is kept, and given again to the same request."""


class Api(_Section):
    per_minute: int = Field(default=600, ge=0, le=1_000_000)
    """How often one caller may ask the API in a minute, a token or a person or an address; 0: as often as it likes."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One configured LMS: which bridge, and that bridge's own settings, validated."""

    name: str
    bridge: str
    settings: BaseModel


class _File(_Section):
    zone: str = "Europe/Oslo"
    """The home zone (IANA name): feeds are shown in it, and times that name no zone are read in it."""
    server: Server = Server()
    log: Log = Log()
    signin: SignIn = SignIn()
    store: Store = Store()
    feeds: Feeds = Feeds()
    imports: Imports = Imports()
    fetch: Fetch = Fetch()
    mail: Mail = Mail()
    keep: Keep = Keep()
    jobs: Jobs = Jobs()
    cache: Cache = Cache()
    api: Api = Api()
    lms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    lti: dict[str, Platform] = Field(default_factory=dict)

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        return zone_of(value).key


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that calbridge is told. `demo` is true where nobody configured an LMS and a demo campus stands in.

    `origins` says of each value that was told where it stood, by its path; what is missing there is a default.
    """

    zone: ZoneInfo
    server: Server
    log: Log
    signin: SignIn
    store: Store
    feeds: Feeds
    imports: Imports
    fetch: Fetch
    mail: Mail
    keep: Keep
    jobs: Jobs
    cache: Cache
    api: Api
    connections: Mapping[str, Connection]
    demo: bool
    lti: Mapping[str, Platform] = dataclass_field(default_factory=dict)
    origins: Mapping[str, Origin] = dataclass_field(default_factory=dict)


def secrets_of(config: Config) -> Sequence[str]:
    """Every secret that the configuration holds, wherever it stood; also the passwords within addresses."""
    found: list[str] = []
    of_lms = (connection.settings for connection in config.connections.values())
    for settings in (*sections_of(config).values(), *of_lms):
        for value in dict(settings).values():
            found += value.get_secret_value().split() if isinstance(value, SecretStr) else _password_in(value)
    return [secret for secret in found if secret]


def _password_in(value: Any) -> list[str]:
    """The password within an address, as written and as it is."""
    try:
        written = urlsplit(value).password if isinstance(value, str) and "@" in value else None
    except ValueError:
        return []
    return [written, unquote(written)] if written else []


def sections_of(config: Config) -> Mapping[str, BaseModel]:
    """The sections of the file by their names, those of LMSs aside."""
    found = {each.name: getattr(config, each.name) for each in fields(config)}
    return {name: section for name, section in found.items() if isinstance(section, BaseModel)}


def zone_of(name: str) -> ZoneInfo:
    """The zone of that IANA name. ValueError, as a sentence, if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called '{name}'; write an IANA name such as Europe/Oslo") from None


def load(path: str | Path | None, environment: Mapping[str, str]) -> Config:
    """The configuration of the file, or the defaults with a demo campus for None. ConfigError tells all its faults."""
    if path is None:
        return parse("", environment)
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from None
    return parse(text, environment, str(path))


def parse(text: str, environment: Mapping[str, str], file_name: str = "config.toml") -> Config:
    """The configuration written in `text`; `environment` answers `{ env = "NAME" }` values.

    It is where the first zones are made, and so where it is settled whose zone rules count.
    """
    prefer_newest()
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"not TOML: {error}"]) from None
    problems: list[str] = []
    told = origins(tree, file_name)
    tree = _resolved(tree, "", environment, problems)
    try:
        file = _File.model_validate(tree)
    except ValidationError as error:
        problems += _sentences(error, "")
    connections = dict(_connections(tree.get("lms", {}), problems))
    if not problems:
        problems += _without_key(file.store, connections)
        problems += _without_way_back(file)
        problems += _without_way_in(file, connections)
    if problems:
        raise ConfigError(problems)
    return Config(
        zone=ZoneInfo(file.zone),
        server=file.server,
        log=file.log,
        signin=file.signin,
        store=file.store,
        feeds=file.feeds,
        imports=file.imports,
        fetch=file.fetch,
        mail=file.mail,
        keep=file.keep,
        jobs=file.jobs,
        cache=file.cache,
        api=file.api,
        connections=connections or {"demo": _demo(file.zone)},
        demo=not connections,
        lti=file.lti,
        origins=told,
    )


def _demo(zone: str) -> Connection:
    return Connection("demo", "local", bridges.bridge_class("local").Settings(demo=True, zone=zone))


def _resolved(value: Any, path: str, environment: Mapping[str, str], problems: list[str]) -> Any:
    """The tree with each `{ env = "NAME" }`, `{ file = "PATH" }` and `{ credential = "NAME" }` filled in, so that
    secrets may stay elsewhere."""
    if isinstance(value, list):
        return [_resolved(item, path, environment, problems) for item in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"env": str(name)} if len(value) == 1:
            if name not in environment:
                problems.append(f"{path}: the environment has no {name}")
            return environment.get(name, "-")
        case {"file": str(name)} if len(value) == 1:
            try:
                return Path(name).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{path}: {name} cannot be read: {error}")
                return "-"
        case {"credential": str(name)} if len(value) == 1:
            return _credential(name, path, environment, problems)
    return {key: _resolved(item, f"{path}.{key}".lstrip("."), environment, problems) for key, item in value.items()}


def _credential(name: str, path: str, environment: Mapping[str, str], problems: list[str]) -> str:
    """What systemd hands to this service alone (LoadCredential=; systemd.exec(5)). Of a folder that our unit hands over
    as `calbridge`, each file is called calbridge_NAME."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    try:
        if not folder:
            raise OSError("systemd hands over none: CREDENTIALS_DIRECTORY is not set")
        if Path(name).name != name:
            raise OSError("that is no name of a credential")
        of_ours = Path(folder) / f"calbridge_{name}"
        return (of_ours if of_ours.exists() else Path(folder) / name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(f"{path}: the credential {name} cannot be read: {error}")
        return "-"


def _connections(tables: Any, problems: list[str]) -> Iterator[tuple[str, Connection]]:
    for name, table in tables.items() if isinstance(tables, dict) else ():
        path = f"lms.{name}"
        if not isinstance(table, dict):
            continue  # the file's own validation has said so
        if "/" in name or not name.isprintable() or not name:
            problems.append(f"{path}: the name of an LMS may not hold a slash")
            continue
        settings = dict(table)
        bridge = settings.pop("bridge", None)
        if bridge not in bridges.REGISTRY:
            said = "missing" if bridge is None else f"no bridge is called '{bridge}'"
            problems.append(f"{path}.bridge: {said}; there are: {', '.join(sorted(bridges.REGISTRY))}")
            continue
        try:
            yield name, Connection(name, bridge, bridges.bridge_class(bridge).Settings.model_validate(settings))
        except ValidationError as error:
            problems += _sentences(error, path)


def _without_key(store: Store, connections: Mapping[str, Connection]) -> Iterator[str]:
    """A bridge's settings say by `needs_vault` that it keeps secrets; beside SQLite the key for them makes itself."""
    if store.key.get_secret_value() or store.url.startswith("sqlite"):
        return
    for name, connection in connections.items():
        if getattr(connection.settings, "needs_vault", False):
            yield f"store.key: missing; '{name}' keeps secrets in the database (openssl rand -base64 32 makes a key)"


def _without_way_back(file: _File) -> Iterator[str]:
    """The links in mails need an address and a key to sign them."""
    if file.mail.host and not file.server.public_url:
        yield "server.public_url: missing; the links in mails need it"
    if file.mail.host and not (file.store.key.get_secret_value() or file.store.url.startswith("sqlite")):
        yield "store.key: missing; the links in mails are signed with it (openssl rand -base64 32 makes a key)"


def _without_way_in(file: _File, connections: Mapping[str, Connection]) -> Iterator[str]:
    """Whoever comes from a course comes from an LMS that we know, to an address that it knows."""
    if file.lti and not file.server.public_url:
        yield "server.public_url: missing; an LMS sends people there (lti)"
    if file.lti and not (file.store.key.get_secret_value() or file.store.url.startswith("sqlite")):
        yield "store.key: missing; launches from courses are signed with it (openssl rand -base64 32 makes a key)"
    for name, platform in file.lti.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name):
            yield f"lti.{name}: its name stands in an address: letters, digits, hyphens and underscores, 40 at most"
        if platform.lms not in (set(connections) or {"demo"}):
            yield f"lti.{name}.lms: no LMS is called '{platform.lms}'"


def _sentences(error: ValidationError, path: str) -> Iterator[str]:
    """One line a fault, without the value that was given: it may be a secret."""
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        where = ".".join([path, *map(str, fault["loc"])]).strip(".")
        said = {"extra_forbidden": "no such key", "missing": "missing"}.get(fault["type"])
        yield f"{where or 'the file'}: {said or fault['msg'].removeprefix('Value error, ')}"


def example() -> str:
    """The text of config.example.toml: every key with its meaning and its default, made from the code."""
    head = [
        "# calbridge: every setting, each with its default. Copy this file to config.toml and change what you need.",
        '# A secret may stand elsewhere: in place of any value write { env = "NAME" }, { file = "/path" } or, to have',
        '# it from systemd, { credential = "NAME" }.',
        "# `calbridge check-config` tells everything that is wrong with it.",
        "",
        *_keys({"zone": _File.model_fields["zone"]}),
    ]
    sections: dict[str, type[BaseModel]] = {
        "server": Server,
        "log": Log,
        "signin": SignIn,
        "store": Store,
        "feeds": Feeds,
        "imports": Imports,
        "fetch": Fetch,
        "mail": Mail,
        "keep": Keep,
        "jobs": Jobs,
        "cache": Cache,
        "api": Api,
    }
    for name, section in sections.items():
        head += ["", f"[{name}]", *_keys(section.model_fields)]
    head += ["", "# One table for each LMS; its name is yours to choose and part of every address: keep it."]
    for bridge in sorted(bridges.REGISTRY):
        fields = bridges.bridge_class(bridge).Settings.model_fields
        head += ["", *(f"# {line}" for line in (f"[lms.my-{bridge}]", f'bridge = "{bridge}"', *_keys(fields)))]
    of_courses = "# One table for each LMS that opens calbridge from inside its courses (LTI 1.3)."
    head += ["", *(f"# {line}" for line in (of_courses, "[lti.my-lms]", *_keys(Platform.model_fields)))]
    return "\n".join(head) + "\n"


def _keys(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        yield f"# {field.description or name}"
        default = field.get_default(call_default_factory=True, validated_data={})
        if default is PydanticUndefined:
            yield f'{name} = "…"  # required'
        else:
            yield f'{name} = "…"  # optional' if default is None else f"{name} = {_toml(default)}"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{ {', '.join(f'{key} = {_toml(item)}' for key, item in value.items())} }}" if value else "{}"
        case _:
            return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def config_path(environment: Mapping[str, str]) -> str | None:
    """The file that CALBRIDGE_CONFIG names, else ./config.toml if there is one, else none."""
    return environment.get("CALBRIDGE_CONFIG") or ("config.toml" if os.path.exists("config.toml") else None)
