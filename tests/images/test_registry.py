import base64
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from plate_release.errors import Interrupted
from plate_release.images.access import MAX_BYTES
from plate_release.images.credentials import Login
from plate_release.images.registry import ImageMissing, NotAnImage, Registry, RegistryUnavailable
from plate_release.model import FoundImage, Image, Secret
from tests.images.conftest import (
    CREATED,
    DOCKER,
    DOCKER_LIST,
    OCI,
    OCI_INDEX,
    PASSWORD,
    USER,
    Reply,
    Scripted,
    Seen,
    Store,
    TokenRegistry,
    certificate,
    digest_of,
    registry,
)

ANONYMOUS = Registry(environ={})
LOGIN = Login(USER, Secret(PASSWORD))


def known(host: str, login: Login = LOGIN) -> Registry:
    return Registry(environ={}, logins={host: login})


@pytest.mark.parametrize("media_type", [OCI, DOCKER])
def test_a_manifest_says_digest_platform_and_time(store: Store, media_type: str) -> None:
    digest = store.image("plate/one", "1.0.0", media_type)
    image = Image(f"{store.host}/plate/one", "1.0.0")
    assert ANONYMOUS.find(image) == FoundImage(digest, {"linux/amd64": digest}, CREATED)


@pytest.mark.parametrize(("index", "manifest"), [(OCI_INDEX, OCI), (DOCKER_LIST, DOCKER)])
def test_an_index_says_its_platforms(store: Store, index: str, manifest: str) -> None:
    entries, platforms = [], {}
    for arch, variant in (("amd64", None), ("arm64", "v8"), ("unknown", None)):
        digest = store.image("plate/multi", f"only-{arch}", manifest, arch)
        platform = {"os": "linux", "architecture": arch} | ({"variant": variant} if variant else {})
        platforms["/".join(platform.values())] = digest
        size = store.size("plate/multi", digest, manifest)
        entries.append(
            {"mediaType": manifest, "digest": digest, "size": size, "platform": platform}
        )
    digest = store.index("plate/multi", "1.0.0", index, entries)
    found = ANONYMOUS.find(Image(f"{store.host}/plate/multi", "1.0.0"))
    del platforms["linux/unknown"]
    assert found == FoundImage(digest, platforms, CREATED)
    assert list(platforms) == ["linux/amd64", "linux/arm64/v8"]
    assert found.digests == {digest, *platforms.values()}


def test_an_image_with_a_digest_is_asked_by_it(store: Store) -> None:
    digest = store.image("plate/one", "2.0.0")
    found = ANONYMOUS.find(Image(f"{store.host}/plate/one", "never-pushed", digest))
    assert found.digest == digest
    with pytest.raises(ImageMissing, match="has no sha256:0000"):
        ANONYMOUS.find(Image(f"{store.host}/plate/one", "2.0.0", f"sha256:{'0' * 64}"))


def test_a_missing_tag_is_refused_with_the_nearest_of_1000(store: Store) -> None:
    store.image("plate/many", "1.0.0")
    tags = store.storage / "docker/registry/v2/repositories/plate/many/_manifests/tags"
    for number in range(1, 1001):  # a push takes 20 ms, the same in the registry's storage less
        if number != 500:
            shutil.copytree(tags / "1.0.0", tags / f"1.{number}.0")
    assert ANONYMOUS.find(Image(f"{store.host}/plate/many", "1.999.0")).created == CREATED
    with pytest.raises(ImageMissing) as missing:
        ANONYMOUS.find(Image(f"{store.host}/plate/many", "1.500.0"))
    assert missing.value.what == f"{store.host}/plate/many has no 1.500.0"
    near = "1.499.0, 1.498.0, 1.501.0, 1.502.0, 1.1000.0"
    assert missing.value.why == f"The nearest tags are {near}."


def test_a_missing_repository_is_refused(store: Store) -> None:
    with pytest.raises(ImageMissing, match="There is no tag like it"):
        ANONYMOUS.find(Image(f"{store.host}/plate/none", "1.0.0"))


def test_a_password_opens_its_registry(password_registry: str) -> None:
    image = Image(f"{password_registry}/plate/app", "1.5.0")
    assert list(known(password_registry).find(image).platforms) == ["linux/amd64"]
    with pytest.raises(RegistryUnavailable, match="anyone without a login"):
        ANONYMOUS.find(image)
    wrong = known(password_registry, Login(USER, Secret("wrong-password")))
    with pytest.raises(RegistryUnavailable, match="the login given") as refused:
        wrong.find(image)
    assert "wrong-password" not in f"{refused.value}{wrong!r}"


@pytest.mark.parametrize(
    ("login", "sent"),
    [(None, None), (LOGIN, "Basic "), (Login(identity_token=Secret("the-identity-token")), None)],
)
def test_a_token_is_fetched_from_the_token_server(
    token_registry: TokenRegistry, login: Login | None, sent: str | None
) -> None:
    token_registry.tokens.seen.clear()
    asker = known(token_registry.host, login) if login else ANONYMOUS
    assert asker.find(Image(f"{token_registry.host}/plate/app", "1.5.0")).created == CREATED
    (seen,) = token_registry.tokens.seen
    given = seen.path + seen.body
    assert "scope=repository%3Aplate%2Fapp%3Apull" in given
    assert "service=plate+registry" in given
    assert (seen.headers.get("Authorization") or "").startswith(sent or "")
    assert ("Authorization" in seen.headers) is (sent is not None)
    assert ("refresh_token=the-identity-token" in seen.body) is (
        login is not None and login is not LOGIN
    )


def test_a_token_server_that_refuses_is_told(token_registry: TokenRegistry) -> None:
    wrong = known(token_registry.host, Login(USER, Secret("wrong-password")))
    with pytest.raises(RegistryUnavailable, match=r"gives no token \(HTTP 401\)"):
        wrong.find(Image(f"{token_registry.host}/plate/app", "1.5.0"))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_a_private_ca_is_trusted_where_it_is_named(
    store: Store, tmp_path: Path, address: str
) -> None:
    pair = certificate(tmp_path, address)
    tls = {"certificate": str(pair.file), "key": str(pair.key_file)}
    http = {"addr": f"{address}:0", "tls": tls}
    with registry(tmp_path, store.storage, http=http) as host:
        image = Image(f"{host}/plate/app", "1.5.0")
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            assert Registry(environ={name: str(pair.file)}).find(image).created == CREATED
        with pytest.raises(RegistryUnavailable, match="certificate verify failed"):
            ANONYMOUS.find(image)


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(
        RegistryUnavailable, match=r"https://127\.0\.0\.1:1 cannot be asked: .*refused"
    ):
        ANONYMOUS.find(Image("127.0.0.1:1/plate/app", "1.5.0"))


CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json"}
MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": CONFIG}).encode()
NOT_THERE: Reply = (404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}')
BASIC = {"WWW-Authenticate": 'Basic realm="x"'}


def served(_: Seen) -> Reply:
    return 200, {"Content-Type": OCI, "Docker-Content-Digest": digest_of(MANIFEST)}, MANIFEST


def test_a_redirect_never_carries_the_login_away(scripted: Scripted, elsewhere: Scripted) -> None:
    def away(seen: Seen) -> Reply:
        if "Authorization" not in seen.headers:
            return 401, BASIC, b""
        return 307, {"Location": f"http://{elsewhere.host}/signed?key=1"}, b""

    scripted.answer, elsewhere.answer = away, served
    found = known(scripted.host).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert found.digest == digest_of(MANIFEST)
    assert [seen.method for seen in elsewhere.seen] == ["GET"]
    assert all("Authorization" not in seen.headers for seen in elsewhere.seen)
    assert all("Authorization" in seen.headers for seen in scripted.seen[1:])


def test_a_redirect_on_the_same_host_keeps_the_login(scripted: Scripted) -> None:
    def moved(seen: Seen) -> Reply:
        if "Authorization" not in seen.headers:
            return 401, BASIC, b""
        return served(seen) if seen.path == "/here" else (302, {"Location": "/here"}, b"")

    scripted.answer = moved
    found = known(scripted.host).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert found.digest == digest_of(MANIFEST)


def test_a_login_of_netrc_is_not_taken(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    scripted.answer = served
    ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert all("Authorization" not in seen.headers for seen in scripted.seen)


def test_a_token_server_of_another_domain_does_not_see_the_login(scripted: Scripted) -> None:
    def challenge(seen: Seen) -> Reply:
        if seen.path.startswith("/token"):
            return 200, {}, b'{"token": "t"}'
        if "Authorization" not in seen.headers:
            realm = f'Bearer realm="http://localhost:{port}/token",service="s"'
            return 401, {"WWW-Authenticate": realm}, b""
        return served(seen)

    port = scripted.host.partition(":")[2]
    scripted.answer = challenge
    known(scripted.host).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    asked = [seen for seen in scripted.seen if seen.path.startswith("/token")]
    assert asked
    assert all("Authorization" not in seen.headers for seen in asked)


def busy(times: int, headers: dict[str, str]) -> Iterator[Reply]:
    for _ in range(times):
        yield 429, headers, b""
    while True:
        yield served(Seen("GET", "/", {}, ""))


@pytest.mark.parametrize(
    ("times", "after"), [(1, "1"), (2, None), (1, "Wed, 21 Oct 2015 07:28:00 GMT")]
)
def test_a_busy_registry_is_asked_again(scripted: Scripted, times: int, after: str | None) -> None:
    replies = busy(times, {"Retry-After": after} if after else {})
    scripted.answer = lambda _: next(replies)
    found = ANONYMOUS.find(Image(f"{scripted.host}/a", "1"))
    assert found.digest == digest_of(MANIFEST)
    assert len(scripted.seen) == times + 1


def test_a_registry_busy_for_long_is_unavailable(scripted: Scripted) -> None:
    replies = busy(9, {"Retry-After": "0"})
    scripted.answer = lambda _: next(replies)
    with pytest.raises(RegistryUnavailable, match=r"busy \(HTTP 429\)"):
        ANONYMOUS.find(Image(f"{scripted.host}/a", "1"))
    assert len(scripted.seen) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((200, {}, b"x" * (MAX_BYTES + 1)), "sends more than"),
        ((302, {"Location": "/again"}, b"x" * (MAX_BYTES + 1)), "sends more than"),
        ((200, {}, b"{}"), "no image manifest"),
        ((200, {}, b'{"login": "please"}'), "no image manifest"),
        ((200, {}, b'{"errors": []}'), "no image manifest"),
        ((200, {"Content-Type": "text/html"}, MANIFEST.replace(OCI.encode(), b"")), "no image"),
        ((404, {}, b"<html>"), "not JSON"),
        ((404, {}, b"{}"), "does not answer as a registry"),
        ((200, {}, b"<html>"), "not JSON"),
        ((200, {}, b"[" * 100_000), "not JSON"),
        ((200, {}, b"[]"), "not an object"),
        ((200, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}, MANIFEST), "have the digest"),
        ((429, {"Retry-After": "never"}, b""), r"busy \(HTTP 429\)"),
        ((500, {}, b"{}"), "HTTP 500"),
        ((302, {"Location": "/again"}, b""), "redirects more than 5 times"),
        ((302, {"Location": "http://elsewhere.invalid/x"}, b""), "not HTTPS"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "not HTTPS"),
        ((401, {"WWW-Authenticate": 'Bearer realm="http://evil.invalid/t"'}, b""), "token server"),
        ((401, {"WWW-Authenticate": 'Bearer realm="http://[::1/token"'}, b""), "cannot be read"),
        ((401, {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:x/t"'}, b""), "cannot be read"),
        ((401, {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:99999"'}, b""), "cannot be re"),
        ((401, {"WWW-Authenticate": "Negotiate"}, b""), "does not let"),
        ((403, {}, b""), "does not let"),
    ],
)
def test_an_answer_that_cannot_be_trusted_is_no_answer(
    scripted: Scripted, reply: Reply, reason: str
) -> None:
    scripted.answer = lambda _: reply
    with pytest.raises(RegistryUnavailable, match=reason):
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))


def test_pages_of_tags_are_followed_on_the_registry_alone(scripted: Scripted) -> None:
    def pages(seen: Seen) -> Reply:
        if "/manifests/" in seen.path:
            return NOT_THERE
        if "last=a" in seen.path:
            return 200, {}, b'{"tags": ["1.5.1"]}'
        link = '<http://elsewhere.invalid/v2/x/tags/list?last=a&n=1>; rel="next"'
        return 200, {"Link": link}, b'{"tags": ["0.1"]}'

    scripted.answer = pages
    with pytest.raises(ImageMissing, match=r"1\.5\.1"):
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ((200, {}, b'{"tags": null}'), "There is no tag like it."),
        ((200, {}, b'{"tags": 5}'), "There is no tag like it."),
        ((401, {}, b""), "Its tags could not be listed: 127.0.0.1"),
        ((500, {}, b""), "Its tags could not be listed: the registry answers with HTTP 500."),
        ((200, {}, b"<html>"), "Its tags could not be listed: the registry's answer is not JSON."),
        ((200, {}, b'{"tags": ["1.5.1\\n::error::x", "1.4.9"]}'), "tags are 1.4.9."),
        (
            (200, {"Link": '<?n=1000>; rel="next"'}, b'{"tags": ["v1.5.0", "1.5.1"]}'),
            "The nearest tags are v1.5.0, 1.5.1.",
        ),
    ],
)
def test_tags_only_make_a_message_better(scripted: Scripted, tags: Reply, says: str) -> None:
    scripted.answer = lambda seen: NOT_THERE if "/manifests/" in seen.path else tags
    with pytest.raises(ImageMissing) as missing:
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert says in missing.value.why


def artifact(config: str | None = None, **more: object) -> bytes:
    manifest = {"schemaVersion": 2, "mediaType": OCI, **more}
    return json.dumps(manifest | ({"config": {"mediaType": config}} if config else {})).encode()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (artifact("application/vnd.cncf.helm.config.v1+json"), "It is application/vnd.cncf.helm"),
        (artifact("application/vnd.oci.empty.v1+json"), "vnd.oci.empty"),
        (artifact(), "is no container image"),
        (artifact(mediaType=OCI_INDEX, manifests=[]), "an index without an image"),
        (
            artifact(
                mediaType=OCI_INDEX,
                manifests=[
                    {
                        "digest": f"sha256:{'0' * 64}",
                        "platform": {"os": "unknown", "architecture": "unknown"},
                    }
                ],
            ),
            "an index without an image",
        ),
        (b'{"schemaVersion": 1, "name": "a"}', "old schema 1"),
    ],
)
def test_what_is_no_image_is_refused(scripted: Scripted, body: bytes, says: str) -> None:
    scripted.answer = lambda _: (200, {}, body)
    with pytest.raises(NotAnImage) as refused:
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert says in str(refused.value)


def test_what_a_configuration_would_say_is_left_out_where_it_cannot_be_had(
    scripted: Scripted,
) -> None:
    member = digest_of(MANIFEST)
    entry = {"digest": member, "platform": {"os": "linux", "architecture": "arm64"}}
    index = artifact(mediaType=OCI_INDEX, manifests=[entry])

    def sparse(seen: Seen) -> Reply:
        return (200, {}, index) if seen.path.endswith("1.5.0") else NOT_THERE

    scripted.answer = sparse
    found = ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert found == FoundImage(digest_of(index), {"linux/arm64": member}, None)


@pytest.mark.parametrize("platform", [None, {}, {"os": "", "architecture": ""}])
def test_an_index_need_not_say_its_platforms(
    scripted: Scripted, platform: dict[str, str] | None
) -> None:
    entry = {"digest": digest_of(MANIFEST)} | ({} if platform is None else {"platform": platform})
    index = artifact(mediaType=OCI_INDEX, manifests=[entry])
    scripted.answer = lambda seen: (200, {}, index if seen.path.endswith("1.5.0") else MANIFEST)
    found = ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert (found.digest, found.platforms) == (digest_of(index), {})


@pytest.mark.parametrize("said", ["application/json", "application/octet-stream", "text/plain"])
def test_a_manifest_may_be_known_by_its_shape(scripted: Scripted, said: str) -> None:
    plain = json.dumps({k: v for k, v in json.loads(MANIFEST).items() if k != "mediaType"}).encode()
    scripted.answer = lambda _: (200, {"Content-Type": said}, plain)
    assert ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1")).digest == digest_of(plain)


@pytest.mark.parametrize(
    "challenge",
    [
        'Basic realm="a", Bearer realm="{realm}",service="s"',
        "Negotiate, Bearer service=s, Realm = {realm}",
        'Bearer realm="{path}"',
        'bearer x-realm="http://127.0.0.1:1/", realm="{realm}",scope="repository:other:pull,push"',
    ],
)
def test_the_token_server_is_found_among_several_challenges(
    scripted: Scripted, challenge: str
) -> None:
    def registry_(seen: Seen) -> Reply:
        if seen.path.startswith("/token"):
            moved = 307, {"Location": "/token/here"}, b""
            return moved if "here" not in seen.path else (200, {}, b'{"token": "t"}')
        if seen.headers.get("Authorization") == "Bearer t":
            return served(seen)
        header = challenge.format(realm=f"http://{scripted.host}/token?x=1", path="/token?x=1")
        return 401, {"WWW-Authenticate": header}, b""

    scripted.answer = registry_
    ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    (asked,) = [seen.path for seen in scripted.seen if seen.path.startswith("/token?")]
    assert "scope=repository%3A" in asked
    assert "x=1" in asked


def test_only_the_registry_says_where_its_login_goes(
    scripted: Scripted, elsewhere: Scripted
) -> None:
    """Whom it redirects to may ask for a login, and gets none."""
    realm = f'Bearer realm="http://{elsewhere.host}/steal"'
    elsewhere.answer = lambda _: (401, {"WWW-Authenticate": realm}, b"")
    scripted.answer = lambda _: (307, {"Location": f"http://{elsewhere.host}/x"}, b"")
    with pytest.raises(RegistryUnavailable, match="anyone without a login"):
        known(scripted.host).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert [seen.path for seen in elsewhere.seen] == ["/x"]


def test_a_login_is_sent_as_utf_8_and_a_broken_token_is_not_shown(scripted: Scripted) -> None:
    login = Login(USER, Secret("비밀€"))
    scripted.answer = lambda seen: (
        served(seen) if "Authorization" in seen.headers else (401, BASIC, b"")
    )
    known(scripted.host, login).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    sent = scripted.seen[-1].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"{USER}:비밀€"

    def broken(seen: Seen) -> Reply:
        if seen.path.startswith("/token"):
            return 200, {}, json.dumps({"token": "secret\r\nX: y"}).encode()
        return 401, {"WWW-Authenticate": f'Bearer realm="http://{scripted.host}/token"'}, b""

    scripted.answer = broken
    with pytest.raises(RegistryUnavailable, match="gives no token") as refused:
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    assert "secret" not in str(refused.value)


def test_no_proxy_stands_before_this_machine(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    scripted.answer = served
    ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))


def test_who_never_ends_an_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It drips a byte at a time, each in time."""
    monkeypatch.setattr("plate_release.images.registry._DEADLINE", 0.5)
    over = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not over.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, args=(listener,), daemon=True).start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(RegistryUnavailable, match=r"127\.0\.0\.1:\d+ takes over"):
            ANONYMOUS.find(Image(f"{host}/plate/app", "1.5.0"))
        over.set()


def test_a_run_that_is_interrupted_waits_for_no_registry(scripted: Scripted) -> None:
    over = threading.Event()

    def hang(_: Seen) -> Reply:
        over.wait(30)
        return 200, {}, b""

    def stop() -> None:
        if scripted.seen:
            raise Interrupted("stop")

    scripted.answer = hang
    with pytest.raises(Interrupted):
        Registry(environ={}, check=stop).find(Image(f"{scripted.host}/plate/app", "1.5.0"))
    over.set()


def test_docker_hub_is_asked_at_its_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def nobody(_: object, method: str, url: str, **__: object) -> requests.Response:
        asked.append(url)
        raise requests.ConnectionError(f"{method}: none here")

    monkeypatch.setattr(requests.Session, "request", nobody)
    with pytest.raises(RegistryUnavailable, match=r"https://registry-1\.docker\.io"):
        ANONYMOUS.find(Image("nginx", "1.27.1"))
    assert asked == ["https://registry-1.docker.io/v2/library/nginx/manifests/1.27.1"]
