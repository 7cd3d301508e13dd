import json

import pytest
from jsonschema import Draft202012Validator

from plate_release import config
from plate_release.errors import UsageError


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
checks: {missing-probes: error}
"""
    )
    service = parsed.service("plate-api")
    assert parsed.confirm
    assert service.tag_key == "backend.image.tag"
    assert service.access == ("http://plate-api.plate-prod.svc:3006",)
    assert (parsed.release.timeout, parsed.release.cluster_dry_run) == (1200, "on")
    assert parsed.service("another") == config.Service()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("confrim: true", "confrim: no such key; did you mean confirm"),
        ("services: {a: {tagkey: x}}", "services.a.tagkey: no such key; did you mean tag-key"),
        ("release: {timeout: 15}\nconfirm: 7", "confirm"),
        ("release: {timeout: soon}", "release.timeout: .*is not a duration"),
        ("environment: stage", "is of environment 'stage', not 'prod'"),
        ("a: [", "is not YAML"),
        ("- 1", "valid"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_the_schema_accepts_what_the_parser_accepts() -> None:
    schema = json.loads(json.dumps(config.schema()))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    good = {"apiVersion": "plate-release/v1", "release": {"timeout": "15m"}}
    assert not list(validator.iter_errors(good))
    assert list(validator.iter_errors({"confrim": True}))
