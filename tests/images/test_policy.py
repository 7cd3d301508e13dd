from collections.abc import Callable

import pytest
from pydantic import ValidationError

from plate_release.errors import TagRefused
from plate_release.images import policy as module
from plate_release.images.policy import TagPolicy, is_mutable
from plate_release.images.versions import calver, semver
from plate_release.model import Ask, Finding

DIGEST = "sha256:" + "0a" * 32
DEFAULT = TagPolicy()
SEMVER = TagPolicy(policy="semver")
CALVER = TagPolicy(policy="calver")
ANY = TagPolicy(policy="any")


def judge(
    before: str,
    ask: Ask,
    policy: TagPolicy,
    *,
    production: bool = True,
    offer: Callable[[], str | None] = lambda: None,
) -> tuple[Finding, ...]:
    return module.judge(before, ask, policy, production=production, offer=offer)


def codes(before: str, tag: str, policy: TagPolicy) -> list[str]:
    return [finding.code for finding in judge(before, Ask("plate-api", tag), policy)]


@pytest.mark.parametrize(
    ("before", "tag", "policy", "expected"),
    [
        ("1.4.2", "1.5.0", DEFAULT, []),
        ("1.4.2", "1.4.2", SEMVER, []),
        ("1.9.0", "1.10.0", SEMVER, []),
        ("v1.9.0", "1.10.0", SEMVER, []),
        ("1.25", "1.25.0", SEMVER, []),
        ("1.25", "1.25.1", SEMVER, []),
        ("1.5.0-rc.1", "1.5.0", SEMVER, []),
        ("1.5.0-rc.1", "1.5.0-rc.2", SEMVER, []),
        ("1.4.2", "1.5.0-rc.1", SEMVER, ["prerelease"]),
        ("1.4.2_build.2", "1.4.2_build.1", SEMVER, []),
        ("latest", "1.5.0", SEMVER, []),
        ("", "1.5.0", SEMVER, []),
        ("sha-0a1b2c3", "1.5.0", SEMVER, ["tag-not-compared"]),
        ("0a1b2c3", "1b2c3d4", DEFAULT, ["tag-not-compared"]),
        ("9999999", "1234567", DEFAULT, ["tag-not-compared"]),
        ("1.5.0", "feature-x", DEFAULT, ["tag-not-compared"]),
        ("2026.11.3", "2026.11.20", CALVER, []),
        ("26.4", "26.10", CALVER, []),
        ("20261123", "20261124", CALVER, []),
        ("2026-11-23.9", "2026-11-23.10", CALVER, []),
        ("9", "1", ANY, []),
        ("", "1.5.0", DEFAULT, []),
        ("latest", "1.5.0", DEFAULT, []),
        ("1.25.0", "1.25-alpine", DEFAULT, []),
        ("1.25-bookworm", "1.25-alpine", DEFAULT, []),
        ("1.27.1-alpine3.20", "1.27.1-alpine3.9", DEFAULT, []),
        ("1.4.2", "1.4.2-5-gabcdef0", DEFAULT, []),
        ("1.5.0-rc9", "1.5.0-rc10", DEFAULT, []),
        ("1.5.0-rc.9", "1.5.0-rc10", DEFAULT, []),
        ("1.5.0-beta9", "1.5.0-beta10", DEFAULT, []),
        ("1.5.0-beta.3", "1.5.0-rc.1", DEFAULT, []),
        ("1.5.0-rc.3", "1.5.0-dev.1", DEFAULT, []),
        ("2.0.0-M9", "2.0.0-M10", DEFAULT, []),
        ("2.0.0-M9", "2.0.0-RC1", DEFAULT, []),
        ("1.4.2-b99", "1.4.2-b100", DEFAULT, []),
        ("2026.11.26-rc9", "2026.11.26-rc10", DEFAULT, []),
        ("1.4.2", "1.4.2-a1b2c3d", DEFAULT, []),
        ("1.4.2-f00dabc", "1.4.2-a1b2c3d", DEFAULT, []),
        ("1.4.2-c0ffee1", "1.4.2-b4df00d", DEFAULT, []),
        ("1.4.2-a123456", "1.4.2-b1234567", DEFAULT, []),
        ("1.2.3-rc1-alpine", "1.2.3-rc1", DEFAULT, []),
        ("21-ea", "21.0.1", DEFAULT, ["tag-not-compared"]),
        ("1.2.3.Final", "1.2.4.Final", DEFAULT, []),
        ("1.2.3.4", "1.2.3.10", DEFAULT, []),
        ("3.12-slim-bookworm", "3.13-slim-bookworm", DEFAULT, []),
        ("1.2.3rc1", "1.2.3", DEFAULT, []),
        ("2026.11.26-9912ab0", "2026.11.26-1234abc", CALVER, []),
        ("20261126-f9912b0", "20261126-a234abc", CALVER, []),
        ("2026.11.26", "2026.11.26-a1b2c3d", CALVER, []),
        ("20261123-1234567", "20261123-0a1b2c3", CALVER, []),
        ("2026.11.3-1234567", "2026.11.3-abcdef0", CALVER, []),
        ("2026112301", "2026112302", CALVER, []),
        ("1.5.0-rc.1-1234567", "1.5.0-rc.1-0a34567", DEFAULT, []),
        ("1.5.0-rc1-20261123", "1.5.0-rc1-abcdef0", DEFAULT, []),
        ("20261126T110009Z", "20261126T120001Z", CALVER, []),
        ("26.0", "26.1", CALVER, []),
        ("2026.1126.1", "2026.1126.2", CALVER, []),
        ("2026w48", "2026w49", CALVER, []),
        ("2026.W48", "2026.W49", CALVER, []),
        ("1.4.2", "main-abcdefa", ANY, []),
        ("", "v7", TagPolicy(policy="pattern", pattern=r"v\d+", prereleases="refuse"), []),
        ("1.4.2", "1.5.0-rc.1", DEFAULT, ["prerelease"]),
        ("1.5.0-rc.1", "1.5.0-rc.2", DEFAULT, []),
        ("plate-1.5.0", "1.4.0", DEFAULT, ["tag-not-compared"]),
        ("1.5.0.1", "1.4.0", SEMVER, ["tag-not-compared"]),
        ("sha-0a1b2c3", "2.0.0-rc.1", SEMVER, ["prerelease", "tag-not-compared"]),
        ("latest", "1.5.0-rc.1", SEMVER, ["prerelease"]),
        ("2026-11-23T1159", "2026-11-23T1200", CALVER, []),
        ("2026.11.23rc1", "2026.11.23rc2", CALVER, []),
        ("2026.11.23rc2", "2026.11.23", CALVER, []),
        ("2026.11.23.1.2", "2026.11.23.1.3", CALVER, []),
        ("20261123-1200000", "20261124", CALVER, []),
        ("20261123115900", "20261123120000", CALVER, []),
        ("2026.47", "2026.48", CALVER, []),
        ("2026.11.3", "2026.12.0-rc.1", CALVER, ["prerelease"]),
        ("", "build-7", TagPolicy(policy="pattern", pattern=r"build-\d+"), []),
        ("1.5.0", "1.4.2", TagPolicy(policy="semver", allow_downgrade=True), []),
        ("1.4.2", "1.5.0-rc.1", TagPolicy(policy="semver", prereleases="allow"), []),
        ("latest", "latest", SEMVER, []),
    ],
)
def test_a_tag_that_may_follow(
    before: str, tag: str, policy: TagPolicy, expected: list[str]
) -> None:
    assert codes(before, tag, policy) == expected


@pytest.mark.parametrize(
    ("before", "tag", "policy", "reason"),
    [
        ("1.5.0", "1.4.2", DEFAULT, "1.4.2 is older than 1.5.0"),
        ("1.10.0", "1.9.0", SEMVER, "older"),
        ("1.25.1", "1.25", SEMVER, "older"),
        ("1.5.0", "1.5.0-rc.1", SEMVER, "older"),
        ("1.5.0", "feature-x", SEMVER, "not a semver version"),
        ("1.4.2", "1.5.0-rc.1", TagPolicy(policy="semver", prereleases="refuse"), "prerelease"),
        ("2026.11.20", "2026.11.3", CALVER, "older"),
        ("20261124.2", "20261124.1", CALVER, "older"),
        ("26.10", "26.4", CALVER, "older"),
        ("2026.11", "2026.54", CALVER, "not a calver version"),
        ("2026-11-23T1200", "2026-11-01T0000", CALVER, "older"),
        ("2026.11.23rc1", "2026.11.1rc1", CALVER, "older"),
        ("2026.11.23.1.3", "2026.11.23.1.2", CALVER, "older"),
        ("2026-11-23-12-30", "2026-11-23-12-15", CALVER, "older"),
        ("2026.11.3", "2026.11.3-rc.1", CALVER, "older"),
        ("2026.11.24", "2026.11.23-1200000", CALVER, "older"),
        ("1.5.0", "1.5.0-rc.1", DEFAULT, "older"),
        ("1.5.0-rc10", "1.5.0-rc9", DEFAULT, "older"),
        ("1.5.0-rc1", "1.5.0-beta2", DEFAULT, "older"),
        ("2026.11.26", "2026.11.05", DEFAULT, "older"),
        ("24.04", "22.04", DEFAULT, "older"),
        ("1.2.3.4", "1.0.0", DEFAULT, "older"),
        ("1.2.3.Final", "1.2.2.Final", DEFAULT, "older"),
        ("1.2.3", "1.2.3rc1", DEFAULT, "older"),
        ("20261126T120009Z", "20261126T120001Z", CALVER, "older"),
        ("2026w49", "2026.w48", CALVER, "older"),
        ("2026.1126.2", "2026.1125.9", CALVER, "older"),
        ("2026.11", "2026.1232", CALVER, "not a calver version"),
        ("", "main", TagPolicy(policy="pattern", pattern=r"v\d+"), "does not match the pattern"),
        ("", "1.5.0-rc.1", TagPolicy(policy="any", prereleases="refuse"), "prerelease"),
        ("1.5.0-rc.2", "1.5.0-rc.1", DEFAULT, "older"),
        ("1.25-alpine", "1.24-alpine", DEFAULT, "older"),
        ("1.5.0", "1234567", SEMVER, "not a semver version"),
        *(
            (before, "1.6.0-alpha.1", TagPolicy(policy="semver", prereleases="refuse"), "prereleas")
            for before in ("latest", "", "sha-abc", "1.5.0-rc.1")
        ),
        ("1.4.2", "stable-alpine", ANY, "another image tomorrow"),
        ("1.4.2", "alpine-latest", ANY, "another image tomorrow"),
        ("", "build-7x", TagPolicy(policy="pattern", pattern=r"build-\d+"), "pattern"),
        ("1.4.2", "latest", ANY, "another image tomorrow"),
        ("1.4.2", "Main", DEFAULT, "another image tomorrow"),
        ("latest", "stable", DEFAULT, "another image tomorrow"),
    ],
)
def test_a_tag_that_may_not_follow(before: str, tag: str, policy: TagPolicy, reason: str) -> None:
    with pytest.raises(TagRefused, match=reason):
        codes(before, tag, policy)


def test_a_mutable_tag_is_fine_with_a_digest_which_is_offered_without() -> None:
    assert judge("1.4.2", Ask("plate-api", "latest", DIGEST), SEMVER) == ()
    pattern = TagPolicy(policy="pattern", pattern=r"v\d+")
    with pytest.raises(TagRefused, match="does not match the pattern"):
        judge("v1", Ask("plate-api", "main", DIGEST), pattern)
    with pytest.raises(TagRefused, match=f"plate-api=latest@{DIGEST}"):
        judge("1.4.2", Ask("plate-api", "latest"), DEFAULT, offer=lambda: DIGEST)
    with pytest.raises(TagRefused, match=r"plate-api=latest@sha256:\.\.\."):
        judge("1.4.2", Ask("plate-api", "latest"), DEFAULT)


def test_the_registry_is_asked_for_nothing_that_the_policy_does_not_need() -> None:
    def never() -> str:
        raise AssertionError("asked")

    with pytest.raises(TagRefused, match="older"):
        judge("1.5.0", Ask("plate-api", "1.4.2"), SEMVER, offer=never)


def test_a_mutable_tag_is_only_told_of_elsewhere_than_in_production() -> None:
    for policy in (DEFAULT, SEMVER, CALVER):
        (finding,) = judge("1.4.2", Ask("plate-api", "latest"), policy, production=False)
        assert (finding.level, finding.code) == ("warning", "mutable-tag")


@pytest.mark.parametrize("tag", ["main-0a1b2c3d", "release-42", "prod-20261123", "1.5.0", "v2"])
def test_a_name_with_a_number_is_made_once(tag: str) -> None:
    assert not is_mutable(tag)


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        (r"v?\d+(\.\d+)*", "1.5.0"),
        (r"\d+(?:\.\d+)+", "1.5.0"),
        (r"[a-z]+(-[a-z0-9]+)*", "build-7-x"),
        (r"build-(\d{4})+", "build-20261123"),
        (r"(?P<day>\d+)-(?P=day)", "7-7"),
    ],
)
def test_a_pattern_may_repeat_what_it_likes(pattern: str, tag: str) -> None:
    assert codes("", tag, TagPolicy(policy="pattern", pattern=pattern)) == []


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    policy = TagPolicy(policy="pattern", pattern=r"(0|0)+x")
    with pytest.raises(TagRefused, match="takes too long"):
        codes("", "0" * 120, policy)


@pytest.mark.parametrize(
    "tags",
    [
        {"policy": "pattern"},
        {"pattern": "x"},
        {"policy": "pattern", "pattern": "(x"},
        {"policy": "random"},
        {"allow-downgrades": True},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(tags: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TagPolicy.model_validate(tags)


def test_the_configuration_spells_with_hyphens() -> None:
    tags = TagPolicy.model_validate({"policy": "semver", "allow-downgrade": True})
    assert tags == TagPolicy(policy="semver", allow_downgrade=True)


@pytest.mark.parametrize(
    "tag", ["1.2.3.4", "x", "01.2", "1234567", "20261123", "1.2.3-01", "1..2", "", "v", "1.2-"]
)
def test_what_is_no_semantic_version(tag: str) -> None:
    assert semver(tag) is None


@pytest.mark.parametrize("tag", ["1.2.3", "2026", "2026.0", "20261323", "1999.1", "x"])
def test_what_is_no_calendar_version(tag: str) -> None:
    assert calver(tag) is None
