"""Who is trusted with what: tokens, keys, proxies, authorities, signatures, others' settings."""

import base64
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from plate_release.errors import RepositoryUnavailable
from plate_release.gitops.private import Patience
from plate_release.gitops.remote import Credentials, Remote
from plate_release.gitops.repository import Repository
from plate_release.model import Secret
from plate_release.sandbox.git import Answer, GitServer
from tests.gitops.conftest import AUTHOR, Open, Origin

TOKEN = "ghs_s3cr3t-and-long"
ENCODED = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
PATH = {"PATH": os.environ["PATH"]}


def token(value: str = TOKEN) -> Credentials:
    return Credentials(Secret(value))


def test_a_token_opens_and_a_wrong_one_does_not(origin: Origin, opened: Open) -> None:
    origin.server.token = TOKEN
    with opened(credentials=token()) as repository:
        head = repository.head()
        commit = repository.commit(head, {"README.md": b"x"}, "m\n", AUTHOR)
        repository.push(repository.branch_update(head, commit))
    with (
        opened(credentials=token("wrong-token")) as repository,
        pytest.raises(RepositoryUnavailable, match="does not let us in") as refused,
    ):
        repository.head()
    assert "wrong-token" not in str(refused.value)
    assert "GITOPS_TOKEN" in refused.value.todo


def test_one_authorization_header_though_the_user_has_configured_another(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    origin.server.token = TOKEN
    (tmp_path / ".gitconfig").write_text(
        f'[http "{origin.server.base_url}/"]\n\textraHeader = AUTHORIZATION: basic d3Jvbmc=\n'
    )
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password wrong\n")
    with opened(credentials=token(), environ=PATH | {"HOME": str(tmp_path)}) as repository:
        assert repository.head().read("README.md") == b"hello\n"


def test_a_password_in_the_address_is_a_token_and_never_shown(origin: Origin, opened: Open) -> None:
    origin.server.token = "p@ss"
    address = origin.url.replace("http://", "http://somebody:p%40ss@")
    with opened(address) as repository:
        assert repository.url == origin.url
        assert repository.head().read("README.md") == b"hello\n"
        assert "p@ss" not in repr(repository.head())
        assert "p@ss" not in repr(Remote.parse(address, Credentials()))


def test_the_token_is_in_no_file_and_no_argument(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    origin.server.token = TOKEN
    work, spy = tmp_path / "work", tmp_path / "spy"
    work.mkdir()
    spy.mkdir()
    (spy / "git").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >> {spy}/arguments\nexec {shutil.which("git")} "$@"\n'
    )
    (spy / "git").chmod(0o755)
    environ = {"PATH": f"{spy}:{PATH['PATH']}"}
    with opened(credentials=token(), workspace=work, environ=environ) as repository:
        head = repository.head()
        repository.commit(head, {"README.md": head.read("README.md") + b"x"}, "m\n", AUTHOR)
        files = [path for path in work.rglob("*") if path.is_file()]
        contents = b"".join(path.read_bytes() for path in [*files, spy / "arguments"])
    assert len(files) > 5
    assert TOKEN.encode() not in contents
    assert ENCODED.encode() not in contents


def test_a_token_does_not_follow_a_redirect(origin: Origin, opened: Open, tmp_path: Path) -> None:
    with GitServer(tmp_path) as thief:
        away = {"Location": f"{thief.base_url}/x.git/info/refs?service=git-upload-pack"}
        origin.server.inject(Answer(302, b"", away), times=9)
        with (
            opened(credentials=token()) as repository,
            pytest.raises(RepositoryUnavailable, match="moved"),
        ):
            repository.head()
        assert thief.requests() == 0


def test_what_a_server_says_of_a_token_is_starred_out(origin: Origin, opened: Open) -> None:
    origin.hook("pre-receive", f"echo 'bad {TOKEN} {ENCODED}' >&2; exit 1")
    with opened(credentials=token()) as repository:
        head = repository.head()
        commit = repository.commit(head, {"README.md": b"x"}, "m\n", AUTHOR)
        with pytest.raises(Exception, match="declined") as refused:
            repository.push(repository.branch_update(head, commit))
    assert "bad *** ***" in str(refused.value)


@pytest.fixture
def hostile(tmp_path: Path) -> dict[str, str]:
    """An environment in which every setting that could run a program does so."""
    home = tmp_path / "hostile"
    (home / "hooks").mkdir(parents=True)
    trap = f"touch {home}/sprung"
    for hook in ("pre-push", "reference-transaction", "post-commit", "post-checkout"):
        (home / "hooks" / hook).write_text(f"#!/bin/sh\n{trap}\n")
        (home / "hooks" / hook).chmod(0o755)
    (home / ".gitconfig").write_text(
        f"""[core]
\thooksPath = {home}/hooks
\tfsmonitor = {trap}
\tsshCommand = {trap}
\tgitProxy = {trap}
\taskPass = {trap}
\tattributesFile = {home}/attributes
[credential]
\thelper = !{trap}
[alias]
\tfetch = !{trap}
\tpush = !{trap}
[filter "x"]
\tclean = {trap}
\tsmudge = {trap}
[diff "x"]
\tcommand = {trap}
\ttextconv = {trap}
[gpg]
\tprogram = {trap}
[uploadpack]
\tpackObjectsHook = {trap}
[init]
\ttemplateDir = {home}
"""
    )
    (home / "attributes").write_text("* filter=x diff=x\n")
    (home / "prog").write_text(f"#!/bin/sh\n{trap}\n")
    (home / "prog").chmod(0o755)
    return PATH | {
        "HOME": str(home),
        "GIT_SSH_COMMAND": trap,
        "GIT_ASKPASS": str(home / "prog"),
        "SSH_ASKPASS": str(home / "prog"),
        "GIT_EXTERNAL_DIFF": trap,
        "GIT_PROXY_COMMAND": trap,
        "GIT_DIR": str(home),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.hooksPath",
        "GIT_CONFIG_VALUE_0": str(home / "hooks"),
        "GIT_TEMPLATE_DIR": str(home),
        "GIT_EXEC_PATH": str(home),
        "GIT_TRACE": str(home / "sprung"),
    }


def test_no_foreign_setting_runs_anything(
    origin: Origin, opened: Open, hostile: dict[str, str]
) -> None:
    with opened(environ=hostile) as repository:
        head = repository.head()
        commit = repository.commit(head, {"README.md": b"x"}, "m\n", AUTHOR)
        repository.push(repository.branch_update(head, commit))
        origin.server.token = TOKEN
        with pytest.raises(RepositoryUnavailable, match="does not let us in"):
            repository.head()
    home = Path(hostile["HOME"])
    assert not (home / "sprung").exists()
    assert sorted(path.name for path in home.iterdir()) == [
        ".gitconfig",
        "attributes",
        "hooks",
        "prog",
    ]


def test_a_proxy_is_used_that_the_users_configuration_names(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    seen: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(503)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.handle_request, daemon=True).start()
        home = tmp_path / "home"
        home.mkdir()
        (home / ".gitconfig").write_text(
            f"[http]\n\tproxy = http://127.0.0.1:{proxy.server_port}\n"
        )
        with (
            opened(environ=PATH | {"HOME": str(home)}, patience=Patience(2, 0)) as repository,
            pytest.raises(RepositoryUnavailable, match="does not answer"),
        ):
            repository.head()
    assert seen == [f"{origin.url}/info/refs?service=git-upload-pack"]


@pytest.fixture
def secure(origin: Origin, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The same repository over HTTPS, and the file of the authority that signed for it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, private = tmp_path / "ca.pem", tmp_path / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, private)
    with GitServer(origin.server.root, tls=context) as server:
        yield server.url("gitops.git").replace("127.0.0.1", "localhost"), authority


def test_an_authority_of_ones_own(secure: tuple[str, Path], opened: Open) -> None:
    url, authority = secure
    with (
        opened(url, environ=PATH) as repository,
        pytest.raises(RepositoryUnavailable, match="certificate is not trusted") as refused,
    ):
        repository.head()
    assert "GIT_SSL_CAINFO" in refused.value.todo
    with opened(url, environ=PATH | {"GIT_SSL_CAINFO": str(authority)}) as repository:
        assert repository.head().read("README.md") == b"hello\n"


def test_ssh_uses_the_given_key_and_hosts_alone(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    """A stand-in for ssh notes what it is asked and runs the command here: no sshd is needed."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "ssh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {fake}/arguments\n'
        'for last; do :; done\nexec sh -c "$last"\n'
    )
    (fake / "ssh").chmod(0o755)
    credentials = Credentials(ssh_key=tmp_path / "my key", known_hosts=tmp_path / "hosts")
    environ = {"PATH": f"{fake}:{PATH['PATH']}"}
    url = f"ssh://git@git.example{origin.bare}"
    with opened(url, credentials=credentials, environ=environ) as repository:
        assert repository.head().read("README.md") == b"hello\n"
    arguments = (fake / "arguments").read_text().splitlines()
    assert arguments[arguments.index("-i") + 1] == str(tmp_path / "my key")
    assert f"UserKnownHostsFile={tmp_path / 'hosts'}" in arguments
    assert {"BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"} <= set(arguments)


def signed_commit(origin: Origin, opened: Open, home: Path, config: str) -> str:
    (home / ".gitconfig").write_text(config)
    with opened(environ=PATH | {"HOME": str(home)}) as repository:
        head = repository.head()
        commit = repository.commit(head, {"README.md": b"x"}, "Signed\n", AUTHOR)
        repository.push(repository.branch_update(head, commit))
    assert origin.at("log", "-1", "--format=%an %s", commit) == "Ada Ops Signed"
    assert origin.at("rev-parse", "main") == commit
    return commit


def test_a_commit_is_signed_with_ssh_where_git_is_configured_so(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", str(key)], check=True
    )
    config = f"[commit]\n\tgpgSign = true\n[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = {key}\n"
    commit = signed_commit(origin, opened, tmp_path, config)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"ada@example.com {key.with_suffix('.pub').read_text()}")
    check = f"gpg.ssh.allowedSignersFile={allowed}"
    shown = origin.at("-c", check, "log", "-1", "--format=%G? %GS", commit)
    assert shown == "G ada@example.com"


def test_a_commit_is_signed_with_gpg_where_git_is_configured_so(
    origin: Origin, opened: Open, tmp_path: Path
) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    ring = tmp_path / ".gnupg"
    ring.mkdir(mode=0o700)
    who = "Ada Ops <ada@example.com>"
    command = ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", who, "ed25519"]
    subprocess.run(command, check=True, capture_output=True, env=PATH | {"HOME": str(tmp_path)})
    config = "[commit]\n\tgpgSign = true\n[user]\n\tsigningKey = ada@example.com\n"
    commit = signed_commit(origin, opened, tmp_path, config)
    stop = ["gpgconf", "--kill", "gpg-agent"]
    subprocess.run(stop, check=True, env=PATH | {"HOME": str(tmp_path)})
    assert "BEGIN PGP SIGNATURE" in origin.at("cat-file", "commit", commit)


def test_a_key_that_cannot_sign_is_told(origin: Origin, opened: Open, tmp_path: Path) -> None:
    config = "[commit]\n\tgpgSign = true\n[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = /none\n"
    (tmp_path / ".gitconfig").write_text(config)
    with opened(environ=PATH | {"HOME": str(tmp_path)}) as repository:
        head = repository.head()
        with pytest.raises(RepositoryUnavailable, match="cannot be signed") as refused:
            repository.commit(head, {"README.md": b"x"}, "m\n", AUTHOR)
    assert "signingKey" in refused.value.todo
    assert origin.at("rev-parse", "main") == head.commit


def test_nothing_shows_the_token(opened: Open) -> None:
    def everything(repository: Repository) -> str:
        return repr(vars(repository))

    with opened(credentials=token()) as repository:
        assert TOKEN not in everything(repository)
        assert ENCODED not in everything(repository)
