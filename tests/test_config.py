import itertools
import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from plate_release import config
from plate_release.errors import UsageError
from plate_release.model import Check, Finding

PACKAGE = Path(config.__file__).parent


def parse(text: str) -> config.Config:
    return config.parse(text.encode(), file="environments/prod.yaml", environment="prod")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("1h30m", 5400), ("1h", 3600), ("0s", 0), ("1.5s", 1.5)],
)
def test_a_duration_is_read(text: str, expected: float) -> None:
    assert config.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "15", "m", "15 m", "-1s", "1m30", "30s15m", "inf"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        config.seconds(text)


@pytest.mark.parametrize("text", ["721h", "99999999999h", "9" * 400 + "s"])
def test_a_duration_beyond_every_release_is_refused(text: str) -> None:
    assert config.seconds("720h") == 30 * 24 * 3600
    with pytest.raises(UsageError, match="too long"):
        config.seconds(text)


def test_an_empty_file_holds_the_defaults() -> None:
    parsed = parse("")
    assert (parsed.confirm, parsed.release.timeout, parsed.release.on_failure) == (
        False,
        900,
        "revert",
    )


def test_every_key_of_the_documented_example_is_read() -> None:
    parsed = parse(
        """
apiVersion: plate-release/v1
environment: prod
confirm: true
argocd: {server: https://argocd.example.com, namespace: argocd}
applications: environments/argocd/apps
services:
  plate-api:
    application: plate-api-prod
    tag-key: backend.image.tag
    tags: {policy: semver, allow-downgrade: false}
    access: ["http://plate-api.plate-prod.svc:3006"]
release: {timeout: 20m, cluster-dry-run: on}
checks: {no-probes: error, image-unchecked: off, shared-values: warning}
"""
    )
    service = parsed.service("plate-api")
    assert parsed.confirm
    assert str(service.tag_key) == "backend.image.tag"
    assert service.access == ("http://plate-api.plate-prod.svc:3006",)
    assert (parsed.release.timeout, parsed.release.cluster_dry_run) == (1200, "on")
    assert parsed.service("another") == config.Service()
    assert parsed.checks == {
        "no-probes": "error",
        "image-unchecked": "off",
        "shared-values": "warning",
    }


BOMB = "a: &a {x: 1}\n" + "".join(
    f"{new}: &{new} {{{', '.join(f'k{n}: *{old}' for n in range(10))}}}\n"
    for old, new in itertools.pairwise("abcdefghij")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("confrim: true", "line 1: confrim: no such key; did you mean confirm"),
        ("checks:\n  missing-probes: error", "line 2: checks.missing-probes: no such key; did you"),
        ("checks: {no-probes: on}", "line 1: checks.no-probes: Input should be 'error'"),
        ("services: {a: {tags: {polciy: any}}}", "services.a.tags.polciy: .* did you mean policy"),
        ("confirm: true\nconfirm: false", "(?s)is not YAML.*confirm stands twice.*line 2"),
        ("services: {a: {}, a: {}}", "(?s)is not YAML.*a stands twice"),
        ("environment: 2026-13-45", "(?s)is not YAML.*month must be in"),
        ("release: {timeout: 900}", "release.timeout: 900 is not a duration. Write it like"),
        ("release: {soak: true}", "release.soak: True is not a duration"),
        ("applications: ../x", "applications: '../x' leaves the repository"),
        ("applications: /apps", "applications: '/apps' leaves the repository"),
        ("? [a]\n: 1", "is not YAML"),
        ("a: " + "[" * 3000, "is not YAML"),
        ("services: {a: {tagkey: x}}", "services.a.tagkey: no such key; did you mean tag-key"),
        ("release: {timeout: 15}\nconfirm: 7", "(?s)line 1: release.timeout: .*line 2: confirm: "),
        ("release: {timeout: soon}", "release.timeout: .*is not a duration"),
        ("services:\n  a: {tag-key: a..b}", "line 2: services.a.tag-key: 'a..b' is not a key"),
        ("services: {a: {tag_key: a.b}}", "services.a.tag_key: no such key; did you mean tag-key"),
        ("services: {a: {on: 1}}", "services.a.on: no such key"),
        ("a: &a [*a]\nb: &b {b: *b}", "(?s)line 1: a: no such key.*line 2: b: no such key"),
        (BOMB, "line 10: j: no such key"),
        ("environment: stage", "is of environment 'stage', not 'prod'"),
        ("a: [", "is not YAML"),
        ("- 1", r"\(the file\): Input should be"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_off_is_no_boolean_where_a_word_is_meant() -> None:
    assert parse("release: {image-check: off}").release.image_check == "off"


def test_the_names_of_services_are_texts() -> None:
    assert set(parse("services: {on: {}, 1: {}, 1.10: {}, ~: {}}").services) == {
        "on",
        "1",
        "1.10",
        "~",
    }


@pytest.mark.parametrize("key", ["services", "checks", "release", "argocd", "applications"])
def test_a_key_with_nothing_behind_it_says_nothing(key: str) -> None:
    assert parse(f"{key}:\n") == parse("")
    assert parse("services: {plate-api: }\n").service("plate-api") == config.Service()


def test_every_check_of_the_configuration_is_made_somewhere() -> None:
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [one for one in Check if f"Check.{one.name}" not in text] == []


def test_levels_are_those_of_the_configuration() -> None:
    found = [Finding("warning", code, "x") for code in ("no-probes", "no-resources", "helm-lint")]
    levelled = parse("checks: {no-probes: error, helm-lint: off}").levelled(found)
    assert [(one.code, one.level) for one in levelled] == [
        ("no-probes", "error"),
        ("no-resources", "warning"),
    ]


GOOD = [
    "{}",
    "apiVersion: plate-release/v1\nrelease: {timeout: 15m}",
    "environment: prod\nservices: {a: , b: {tags: {policy: semver, prereleases: }}}",
    "services:\nrelease:\nchecks: {no-probes: 'off'}",
    "services: {a: {tag-key: 'a[b=c].tag', values-file: x.yaml}}",
    "release: {image-check: 'off'}",
    "release: {cluster-dry-run: 'on'}\nplatforms: [linux/arm64]",
]
BAD = [
    "confrim: true",
    "services: {a: {tagkey: x}}",
    "services: {a: {tags: {polciy: any}}}",
    "checks: {no-probes: loud}",
    "checks: {nothing: error}",
    "release: {timeout: 15}",
    "platforms: [arm]",
]


@pytest.mark.parametrize("text", [*GOOD, *BAD])
def test_the_schema_accepts_what_the_parser_accepts(text: str) -> None:
    schema = json.loads(json.dumps(config.schema()))
    Draft202012Validator.check_schema(schema)
    problems = list(Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
    assert (not problems) is (text in GOOD), problems
    if text in GOOD:
        parse(text)
    else:
        with pytest.raises(UsageError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("timeout: 5m", None),
        ("release: {timout: 5m}", "timeout"),
        ("argocd: {servr: x}", "server"),
        ("services: {a: {tags: {patern: x}}}", "pattern"),
        ("tag: 1", None),
    ],
)
def test_a_near_miss_is_one_of_the_same_section(text: str, near: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert ("did you mean" in caught.value.why) is (near is not None)
    assert str(near or "") in caught.value.why


def test_a_file_without_its_environment_is_of_the_one_that_is_asked_for() -> None:
    assert config.parse(b"confirm: true\n", file="stage.yaml", environment="stage").confirm
