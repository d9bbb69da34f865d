"""A real nginx on loopback ports, set up by the file that we ship, with a calbridge behind it."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SHIPPED = Path(__file__).parent.parent.parent / "app" / "deploy" / "nginx.conf"
NAME = "cal.example.edu"
PATIENCE = 30.0

MAIN = """
{user}
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/main-error.log;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/calbridge.conf;
}}
"""


def program() -> str:
    """Where nginx is. .ci/run installs it where it is missing."""
    found = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert found, "these tests need nginx: apt-get install nginx"
    return found


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Nginx:
    """`get` asks as a client at `client`, a loopback address of its own, would."""

    folder: Path
    port: int
    plain: int

    def get(self, path: str, client: str = "127.0.0.1", **what: object) -> requests.Response:
        return self.ask("GET", path, client, **what)

    def ask(self, method: str, path: str, client: str = "127.0.0.1", **what: object) -> requests.Response:
        with requests.Session() as session:
            session.mount("https://", _From(client))
            session.headers["Host"] = NAME
            session.trust_env = False
            url = f"https://127.0.0.1:{self.port}{path}"
            return session.request(method, url, verify=str(self.folder / "fullchain.pem"), timeout=20, **what)  # type: ignore[arg-type]

    def logs(self, until: str) -> str:
        """All that was logged, once that is there: a line follows its answer a little later."""
        for _ in range(100):
            text = "".join(file.read_text("utf-8") for file in self.folder.glob("*.log"))
            if until in text:
                return text
            time.sleep(0.05)
        raise AssertionError(f"the logs do not say {until}:\n{text}")


class _From(requests.adapters.HTTPAdapter):
    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, source_address=(self._address, 0), **options)


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Nginx]:
    """nginx in front of what listens on that port, until the block ends."""
    ports = free_port(), free_port()
    certificate(folder)
    (folder / "calbridge.conf").write_text(placed(SHIPPED.read_text("utf-8"), folder, *ports, upstream), "utf-8")
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user), "utf-8")
    command = [program(), "-c", str(folder / "nginx.conf"), "-e", str(folder / "first-error.log")]
    subprocess.run([*command, "-t", "-q"], check=True, timeout=30)
    with subprocess.Popen(command) as process:
        try:
            _await(ports[0])
            yield Nginx(folder, *ports)
        finally:
            process.terminate()


def placed(shipped: str, folder: Path, port: int, plain: int, upstream: int) -> str:
    """The file that we ship, with ports and folders of this test's own and nothing else changed."""
    text = re.sub(r"\n    listen \[::\].*", "", shipped)
    for old, new in {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "listen 80": f"listen 127.0.0.1:{plain}",
        "server 127.0.0.1:8600": f"server 127.0.0.1:{upstream}",
        "/etc/ssl/calbridge/": f"{folder}/",
        "/var/cache/nginx/": f"{folder}/",
        "/var/log/nginx/": f"{folder}/",
    }.items():
        assert old in text, f"the file does not say {old} any more"
        text = text.replace(old, new)
    return text


def certificate(folder: Path) -> None:
    """A certificate for loopback that signs itself, valid around now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(NAME), x509.IPAddress(ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _await(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")
