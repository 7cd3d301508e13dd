import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from plate_release.images.access import MAX_BYTES
from plate_release.images.credentials import Login
from plate_release.images.registry import Found, ImageMissing, Registry, RegistryUnavailable
from plate_release.model import Image, Secret
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
    assert ANONYMOUS.find(image) == Found(digest, media_type, ("linux/amd64",), CREATED)


@pytest.mark.parametrize(("index", "manifest"), [(OCI_INDEX, OCI), (DOCKER_LIST, DOCKER)])
def test_an_index_says_its_platforms(store: Store, index: str, manifest: str) -> None:
    entries = []
    for arch, variant in (("amd64", None), ("arm64", "v8"), ("unknown", None)):
        digest = store.image("plate/multi", f"only-{arch}", manifest, arch)
        platform = {"os": "linux", "architecture": arch} | ({"variant": variant} if variant else {})
        size = store.size("plate/multi", digest, manifest)
        entries.append(
            {"mediaType": manifest, "digest": digest, "size": size, "platform": platform}
        )
    digest = store.index("plate/multi", "1.0.0", index, entries)
    found = ANONYMOUS.find(Image(f"{store.host}/plate/multi", "1.0.0"))
    assert found == Found(digest, index, ("linux/amd64", "linux/arm64/v8"), CREATED)


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
    assert "1.50.0" in missing.value.why


def test_a_missing_repository_is_refused(store: Store) -> None:
    with pytest.raises(ImageMissing, match="There is no tag like it"):
        ANONYMOUS.find(Image(f"{store.host}/plate/none", "1.0.0"))


def test_a_password_opens_its_registry(password_registry: str) -> None:
    image = Image(f"{password_registry}/plate/app", "1.5.0")
    assert known(password_registry).find(image).platforms == ("linux/amd64",)
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


def test_a_private_ca_is_trusted_where_it_is_named(store: Store, tmp_path: Path) -> None:
    pair = certificate(tmp_path, "127.0.0.2")  # localhost would be asked without TLS
    tls = {"certificate": str(pair.file), "key": str(pair.key_file)}
    http = {"addr": "127.0.0.2:0", "tls": tls}
    with registry(tmp_path, store.storage, http=http) as host:
        image = Image(f"{host}/plate/app", "1.5.0")
        for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
            assert Registry(environ={name: str(pair.file)}).find(image).created == CREATED
        with pytest.raises(RegistryUnavailable, match="certificate verify failed"):
            ANONYMOUS.find(image)


def test_a_registry_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(
        RegistryUnavailable, match=r"http://127\.0\.0\.1:1 cannot be asked: .*refused"
    ):
        ANONYMOUS.find(Image("127.0.0.1:1/plate/app", "1.5.0"))


MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": OCI, "layers": []}).encode()
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
    assert [seen.method for seen in elsewhere.seen] == ["HEAD", "GET"]
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
    ("times", "after", "waits"), [(1, "2", [2.0]), (2, "1", [1.0, 1.0]), (2, None, [1.0, 2.0])]
)
def test_a_busy_registry_is_waited_for_as_it_asks(
    scripted: Scripted, times: int, after: str | None, waits: list[float]
) -> None:
    replies = busy(times, {"Retry-After": after} if after else {})
    scripted.answer = lambda _: next(replies)
    waited: list[float] = []
    asker = Registry(environ={}, sleep=waited.append)
    assert asker.find(Image(f"{scripted.host}/a", "1")).digest == digest_of(MANIFEST)
    assert waited == waits


@pytest.mark.parametrize(("after", "waits"), [("3600", []), ("1", [1.0, 1.0])])
def test_a_registry_busy_for_long_is_unavailable(
    scripted: Scripted, after: str, waits: list[float]
) -> None:
    replies = busy(9, {"Retry-After": after})
    scripted.answer = lambda _: next(replies)
    waited: list[float] = []
    with pytest.raises(RegistryUnavailable, match=r"busy \(HTTP 429\)"):
        Registry(environ={}, sleep=waited.append).find(Image(f"{scripted.host}/a", "1"))
    assert waited == waits


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((200, {}, b"x" * (MAX_BYTES + 1)), "too much"),
        ((200, {}, b"<html>"), "not JSON"),
        ((200, {}, b"[" * 100_000), "not JSON"),
        ((200, {}, b"[]"), "not an object"),
        ((200, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}, MANIFEST), "have the digest"),
        ((500, {}, b"{}"), "HTTP 500"),
        ((302, {"Location": "/again"}, b""), "redirects more than 5 times"),
        ((302, {"Location": "http://elsewhere.invalid/x"}, b""), "not HTTPS"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "not HTTPS"),
        ((401, {"WWW-Authenticate": 'Bearer realm="http://evil.invalid/t"'}, b""), "token server"),
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
            return 404, {}, b""
        if "last=a" in seen.path:
            return 200, {}, b'{"tags": ["1.5.1"]}'
        link = '<http://elsewhere.invalid/v2/x/tags/list?last=a&n=1>; rel="next"'
        return 200, {"Link": link}, b'{"tags": ["0.1"]}'

    scripted.answer = pages
    with pytest.raises(ImageMissing, match=r"1\.5\.1"):
        ANONYMOUS.find(Image(f"{scripted.host}/plate/app", "1.5.0"))


def test_docker_hub_is_asked_at_its_own_address() -> None:
    asked: list[str] = []

    class NoNetwork(requests.Session):
        def request(
            self, method: str | bytes, url: str | bytes, *_: object, **__: object
        ) -> requests.Response:
            asked.append(str(url))
            raise requests.ConnectionError(f"{method!r}: none here")

    with pytest.raises(RegistryUnavailable, match=r"https://registry-1\.docker\.io"):
        Registry(environ={}, sessions=NoNetwork).find(Image("nginx", "1.27.1"))
    assert asked == ["https://registry-1.docker.io/v2/library/nginx/manifests/1.27.1"]
