"""What differs between two renderings, and which of it is what was asked for."""

import json
import textwrap
from dataclasses import replace

import pytest

from plate_release.charts import Objects, containers
from plate_release.charts.difference import QUIET, Noise, compare
from plate_release.charts.key import ImageKeys, Wanted
from plate_release.charts.key import written as to_write
from plate_release.charts.noise import quieted
from plate_release.charts.proof import prove
from plate_release.charts.search import Affixes
from plate_release.charts.secrets import held_texts, secret_texts
from plate_release.charts.telling import secret_spans
from plate_release.charts.workloads import split_image
from plate_release.errors import NoEffect, PlanRefused
from plate_release.model import Ask, Finding
from plate_release.values import Key

from .conftest import objects_in

OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def rendered(*parts: str) -> Objects:
    return objects_in("---\n".join(textwrap.dedent(part).lstrip() for part in parts))


def config(name: str = "shop", template: str = "config", **data: str) -> str:
    lines = "".join(f"  {key}: {value}\n" for key, value in data.items())
    return (
        f"# Source: shop/templates/{template}.yaml\n"
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{lines}"
    )


def pod(image: str, /, **annotations: str) -> str:
    notes = "".join(f"    {key}: {value!r}\n" for key, value in annotations.items())
    return (
        "# Source: shop/templates/pod.yaml\n"
        f"apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\n  annotations:\n    a: b\n{notes}"
        f"spec:\n  containers:\n  - name: shop\n    image: {image}\n"
    )


def keys_of(before: Objects) -> ImageKeys:
    found = containers(before)
    key = Key.parse("image.tag")
    values = {key: split_image(found[0].image).tag or ""}
    return ImageKeys("values.yaml", key, False, dict.fromkeys(found, Affixes()), values)


def proved(before: Objects, after: Objects, ask: Ask) -> tuple[Finding, ...]:
    return prove(compare(before, after), before, after, [Wanted(keys_of(before), ask)])


def test_a_unified_difference_for_each_object() -> None:
    before = rendered(config(a="'1'", b="same"), pod("shop:1"))
    after = rendered(config(a="'2'", b="same"), pod("shop:1"))
    assert compare(before, after).text == textwrap.dedent("""\
        --- ConfigMap shop (now)
        +++ ConfigMap shop (planned)
        @@ -3,5 +3,5 @@
         metadata:
           name: shop
         data:
        -  a: '1'
        +  a: '2'
           b: same
        """)


def test_objects_come_as_helm_applies_them_and_what_goes_comes_last() -> None:
    before = rendered(config("gone", "gone"), config(a="old"), pod("shop:1"))
    after = rendered(config(a="new"), pod("shop:2"), config("fresh", "fresh"))
    found = compare(before, after)
    assert [str(one) for one in found.objects] == [
        "ConfigMap shop",
        "Pod shop",
        "ConfigMap fresh",
        "ConfigMap gone",
    ]


def test_equal_renderings_differ_in_nothing() -> None:
    one = rendered(config(a="x"), pod("shop:1"))
    assert compare(one, one) == compare(one, rendered(config(a="x"), pod("shop:1")))
    assert compare(one, one).objects == ()


def secret(value: str, other: str = "same") -> str:
    return (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\n"
        f"stringData: {{password: {value}, other: {other}}}\n"
    )


def test_secrets_show_as_stable_fingerprints() -> None:
    before, after = rendered(secret("hunter2")), rendered(secret("correct-horse"))
    found = compare(before, after)
    for word in ("hunter2", "correct-horse", "same"):
        assert word not in found.text
        assert word not in str(found)
    assert found.text == compare(before, after).text
    assert found.text.count("(secret, fingerprint ") == 2
    assert "   other: (secret, unchanged)" in found.text
    assert "-  password: (secret, fingerprint 0824f3e2)" in found.text  # in every run
    assert compare(before, rendered(secret("hunter2"))).objects == ()


@pytest.mark.parametrize(
    "body",
    [
        "kind: Secret\ndata: hunter2\n",
        "kind: Secret\ndata: [hunter2]\n",
        "kind: secret\nstringdata: {a: hunter2}\n",
        "kind: Secret\ndata: {a: {b: hunter2}}\n",
        "kind: Secret\ndata: {a: aHVudGVyMg==}\n",
        "kind: SealedSecret\nspec: {template: {data: {a: hunter2}}}\n",
        """kind: List\nitems: [{apiVersion: v1, kind: List, items: [
        {apiVersion: v1, kind: Secret, metadata: {name: a}, data: {a: hunter2}}]}]\n""",
    ],
)
def test_no_secret_is_shown_whatever_its_shape(body: str) -> None:
    old, new = (
        rendered(f"apiVersion: v1\nmetadata: {{name: a, labels: {{v: '{v}'}}}}\n{body}")
        for v in "12"
    )
    other = rendered(
        "apiVersion: v1\nmetadata: {name: a, labels: {v: '1'}}\n"
        + body.replace("hunter2", "hunter3").replace("aHVudGVyMg==", "aHVudGVyMw==")
    )
    for text in (compare(old, new).text, compare(old, other).text):
        assert "hunter" not in text
        assert "aHVu" not in text
    changes = [str(change) for one in compare(old, other).objects for change in one.changes]
    assert changes
    assert "hunter" not in "".join(changes)


def test_no_secret_is_shown_of_what_appears_as_a_whole() -> None:
    old = rendered("apiVersion: v1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {}\n")
    body = "spec: {template: {data: {a: hunter2}}}"
    new = rendered(f"apiVersion: v1\nkind: SealedSecret\nmetadata: {{name: a}}\n{body}\n")
    ((change,),) = (one.changes for one in compare(old, new).objects)
    assert str(change) == "spec.template: a secret value changes"


def test_kubectl_s_copy_of_a_secret_is_hidden_too() -> None:
    notes = "annotations: {kubectl.kubernetes.io/last-applied-configuration: '{hunter2}'}"
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a, {notes}}}\n"
    old, new = rendered(text), rendered(text.replace("name: a", "name: a, labels: {x: y}"))
    assert "hunter2" not in compare(old, new).text
    assert "labels" in compare(old, new).text


ENVIRONMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: shop}}
spec:
  template:
    spec:
      containers:
      - name: shop
        image: shop:{tag}
        args: [--password={secret}]
        env:
        - {{name: DB_PASSWORD, value: "{secret}"}}
        - {{name: DSN, value: "postgres://shop:{secret}@db/{tag}"}}
        - {{name: SECRET_NAME, value: shop-secret}}
        envFrom: [{{secretRef: {{name: shop-env}}}}]
"""


def test_secrets_within_secrets_are_hidden_whole_and_alike_each_time() -> None:
    secrets = {"hunter2", "hunter2-long", "secret", "fingerprint"}
    old, new = (rendered(config(a=f"x hunter2-long {n} hunter2")) for n in "12")
    texts = {compare(old, new, secrets=secrets).text for _ in range(9)}
    (text,) = texts
    assert "-long" not in text
    assert text.count("(secret, fingerprint ") == 4
    assert "((" not in text


@pytest.mark.parametrize(
    "env",
    [
        "{name: DB_PASS, value: hunter2-x}",
        "{name: STRIPE_KEY, value: hunter2-x}",
        "{name: LICENSE_KEY, value: hunter2-x}",
        "{name: A, value: --token=hunter2-x}",
        "{name: A, value: '--db-password hunter2-x'}",
        "{name: A, value: 'postgres://shop:hunter2-x@db/shop'}",
        '{name: A, value: "a: 1\\npassword: hunter2-x\\napi_key = hunter2-x"}',
        "{name: A, value: 'redis://:hunter2-x@db'}",
        "{name: A, value: 'Authorization: Bearer hunter2-x'}",
        """{name: A, value: '{"password": "hunter2-x"}'}""",
        "{name: A, value: 'Server=db;Password=hunter2-x;'}",
        "{name: A, value: 'https://db/?token=hunter2-x'}",
        "{name: PGPASS, value: hunter2-x}",
        "{name: dbPass, value: hunter2-x}",
        "{name: NOTION_TOKEN, value: hunter2-x}",
        "{name: OIDC_PROVIDER_CLIENT_SECRET, value: hunter2-x}",
        "{name: ADMIN_TOKENS, value: hunter2-x}",
        "{name: SENTRY_DSN_URL, value: hunter2-x}",
        "{name: A, value: \"--password='hunter2-x'\"}",
        "{name: A, value: 'PASSWORD := hunter2-x'}",
        "{name: A, value: 'Authorization: Splunk hunter2-x'}",
        "{name: A, value: 'postgres://u:hunter2-x/y@db'}",
        "{name: DB_PW, value: hunter2-x}",
        "{name: A, value: 'signing-key: hunter2-x'}",
        "{name: A, value: 'AccountKey=hunter2-x;'}",
        "{name: SLACK_WEBHOOK_URL, value: hunter2-x}",
        "{name: A, value: '--api-key=hunter2-x'}",
        "{name: A, value: 'X-Api-Key: hunter2-x'}",
        '{name: A, value: "-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END"}',
        "{name: A, value: 'https://hooks.slack.com/services/T0/hunter2-x'}",
        "{name: A, value: 'https://ghp_hunter2hunter2hunter2@github.com/o/r.git'}",
        "{name: A, value: 'Authorization: Basic hunter2-x'}",
    ],
)
def test_what_is_called_a_secret_is_hidden(env: str) -> None:
    old, new = (rendered(FIELD % (tag, f"env: [{env}]")) for tag in "12")
    assert "hunter2" not in compare(old, new).text


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("args: ['--requirepass', hunter2-x]", False),
        ("args: ['--token', hunter2-x]", False),
        ("args: ['--token-file', hunter2-x]", True),
        ("args: ['--password=', hunter2-x]", True),
        ("args: ['--skip-secrets', hunter2-x]", True),
        ("args: ['--disable-password-login', '--a=hunter2-x']", True),
        ("env: {DB_PASSWORD: {value: hunter2-x}}", False),
        ("env: [{name: PASSWORD, value: 918273645}]", False),
        ("env: [{name: passwordMinLength, value: 8}]", True),
        ("env: [{name: SIZE, value: 918273645}]", True),
    ],
)
def test_what_stands_beside_or_above_a_value_says_that_it_is_secret(
    field: str, *, shown: bool
) -> None:
    old, new = (rendered(FIELD % (tag, field)) for tag in "12")
    text = compare(old, new).text
    assert any(value in text for value in ("hunter2-x", "918273645", "value: 8\n")) is shown
    assert ("(secret, unchanged)" in text) is not shown


@pytest.mark.parametrize(
    "env",
    [
        "{secretKeyRef: {key: shown, name: shop-secret}, name: A}",
        "{name: SECRET_NAME, value: shown}",
        "{name: COMPASS, value: shown}",
        "{name: TOKENIZER_MODE, value: shown}",
        "{name: TOKEN_TTL, value: shown}",
        "{name: SORT_KEY, value: shown}",
        "{name: A, value: --secret-name=shown}",
        "{name: topologyKey, value: shown}",
        "{name: A, value: 'https://git-user-shown@git.example.com'}",
        "{name: A, value: 'http://api:shown/v1'}",
        "{name: A, value: 'x/token-api:shown'}",
        "{name: TOKEN_API_VERSION, value: shown}",
        "{name: renderPass, value: shown}",
        "{name: A, value: 'basalt=shown'}",
        "{name: A, value: 'grep -- -----BEGIN PRIVATE KEY----- /shown'}",
        "{name: PASSWORD_RESET_URL, value: shown}",
        "{name: A, value: '--max-num-batched-tokens=shown --tokenizer-mode=shown'}",
        "{name: A, value: 'authorization: shown'}",
        "{name: A, value: 'arn:aws:secretsmanager:shown'}",
    ],
)
def test_what_only_names_a_secret_is_shown(env: str) -> None:
    old, new = (rendered(FIELD % (tag, f"env: [{env}]")) for tag in "12")
    assert "shown" in compare(old, new).text


def test_what_is_hidden_names_no_other_secret() -> None:
    texts = ("postgres://plate-user1:hunter2-x@db", "pass-word1 password=hunter2-x")
    for text in texts:
        old, new = (rendered(config(a=f"'{text} {tag}'")) for tag in "12")
        shown = compare(old, new, secrets={"plate-user1", "pass-word1"}).text
        assert "hunter2-x" not in shown
        assert "plate-user1" not in shown


@pytest.mark.parametrize(
    ("held", "elsewhere"),
    [
        ("p: production", set()),
        ("p: postgres.db.svc", set()),
        ("p: short-1", set()),
        ("p: wkTqLmZpXvRb", {"wkTqLmZpXvRb", "d2tUcUxtWnBYdlJi"}),
        ('p: "#!/bin/bash\\nset -euo pipefail\\n"', set()),
        ("p: hunter2-hunter2", {"hunter2-hunter2", "aHVudGVyMi1odW50ZXIy"}),
        (
            "p: \"mailer: hunter2-x\\ndb:\\n  pass: 'hunter3-x'\\n\"",
            {"hunter2-x", "hunter3-x", "aHVudGVyMi14", "aHVudGVyMy14"},
        ),
    ],
)
def test_what_a_secret_holds_is_hidden_elsewhere_but_for_words(
    held: str, elsewhere: set[str]
) -> None:
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\nstringData:\n  {held}\n"
    assert held_texts(rendered(text)[0]) == elsewhere


def test_what_names_secrets_that_stand_elsewhere_hides_nothing() -> None:
    text = (
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: s}\n"
        "spec: {data: [{secretKey: DATABASE_URL-1}]}\n"
    )
    assert held_texts(rendered(text)[0]) == frozenset()


def test_only_the_body_of_a_private_key_is_hidden() -> None:
    text = "a\n-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4\nbody\n-----END EC PRIVATE KEY-----\nb"
    ((start, end),) = secret_spans(text, ())
    assert text[start:end] == "\nProc-Type: 4\nbody\n"


def test_a_part_of_a_word_is_no_secret() -> None:
    old, new = (rendered(config(a=f"--driver=postgresql --{tag}")) for tag in "12")
    assert "postgresql" in compare(old, new, secrets={"postgres"}).text


def test_what_an_object_hides_is_hidden_elsewhere() -> None:
    held = held_texts(rendered(secret("hunter2-x", "short"))[0])
    assert held == {"hunter2-x", "aHVudGVyMi14"}
    env = "env: [{name: A, value: hunter2-env}, {name: DB_PASSWORD, value: hunter2-env}]"
    (one,) = rendered(FIELD % ("1", env))
    assert held_texts(one) == {"hunter2-env", "aHVudGVyMi1lbnY="}


def test_what_values_call_a_secret_is_known_in_every_form() -> None:
    values = {
        "db": {"password": "p@ss/w rd"},
        "pin": {"password": 123456},
        "map": {"DB_PASSWORD": {"value": "a-b-c"}},
        "auto": {"token": "false"},
    }
    assert secret_texts(values) == {
        "p@ss/w rd",
        "p%40ss/w%20rd",
        "p%40ss%2Fw+rd",
        "cEBzcy93IHJk",
        "123456",
        "MTIzNDU2",
        "a-b-c",
        "YS1iLWM=",
    }


def test_what_a_name_or_a_value_says_is_secret_is_not_shown() -> None:
    before = rendered(ENVIRONMENT.format(tag=1, secret="hunter2"))
    after = rendered(ENVIRONMENT.format(tag=2, secret="hunter3"))
    found = compare(before, after, secrets={"hunter2", "hunter3"})
    assert "hunter" not in found.text + "".join(str(c) for o in found.objects for c in o.changes)
    assert "shop-secret" in found.text
    assert found.text.count("--password=(secret, fingerprint ") == 2
    found = compare(before, rendered(ENVIRONMENT.format(tag=2, secret="hunter2")))
    assert "hunter2@" not in found.text
    assert "value: (secret, unchanged)" in found.text


def test_a_text_that_yaml_reads_as_a_number_is_told() -> None:
    before, after = rendered(config(v="v1.3.0")), rendered(config(v="1.40"))
    (one,) = compare(before, after).objects
    told = "data.v: v1.3.0 -> 1.4 (one is no text to YAML: quote it in the template)"
    assert [str(change) for change in one.changes] == [told]


@pytest.mark.parametrize(("old", "new"), [("true", "1"), ("0", "false"), ("1", "1.0")])
def test_values_that_are_equal_to_python_alone_differ(old: str, new: str) -> None:
    assert compare(rendered(config(a=old)), rendered(config(a=new))).text


def test_a_secret_in_an_unasked_change_is_not_told() -> None:
    before, after = rendered(pod("s:1"), secret("hunter2")), rendered(pod("s:2"), secret("other"))
    with pytest.raises(PlanRefused) as caught:
        proved(before, after, Ask("shop", "2"))
    assert "Secret shop: stringData.password: a secret value changes" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def noise_in(before: list[Objects], after: list[Objects]) -> Noise:
    (old, *olds), (new, *news) = before, after
    noise = QUIET
    for again, new_again in zip(olds, news, strict=True):
        noise = noise.listened((old, again), (new, new_again))
    return noise


def test_noise_is_left_out_wherever_it_stands() -> None:
    def chart(salt: str, tag: str) -> Objects:
        return rendered(config(salt=salt, tag=tag), config(f"job-{salt}", "job", a="b"))

    old = [chart("aaa", "one"), chart("bbb", "one")]
    new = [chart("ccc", "two"), chart("ddd", "two")]
    found = compare(old[0], new[0], noise_in(old, new))
    assert [str(change) for one in found.objects for change in one.changes] == [
        "data.tag: one -> two"
    ]
    assert "ccc" not in found.text


MANY = "".join(f"line {n} of many\n" for n in range(9000))


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("echo {}; true", "echo {}; rm -rf /data"),
        ("salt={}\nmode=safe", "salt={}\nmode=drop"),
        ("{} safe {}", "{} other {}"),
        ("-----BEGIN {}\n{}+{}/{}\n-----END x", "-----BEGIN {}\n{}+{}/{}\n-----END y"),
        (f"a={{}}\n{MANY}mode=safe", f"a={{}}\n{MANY}mode=drop"),
        (f"a={{}}\n{MANY}", "a={}\nb\n"),
    ],
)
def test_what_changes_beside_noise_in_one_text_is_seen(text: str, becomes: str) -> None:
    def chart(pattern: str, salt: str) -> Objects:
        return rendered(config(a=json.dumps(pattern.format(*(f"{salt}{n}" for n in range(4))))))

    old, again = chart(text, "aaa"), chart(text, "bbb")
    same, more = chart(text, "ccc"), chart(text, "ddd")
    assert compare(old, same, noise_in([old, again], [same, more])).objects == ()
    new, more = chart(becomes, "ccc"), chart(becomes, "ddd")
    (one,) = compare(old, new, noise_in([old, again], [new, more])).objects
    assert [change.path for change in one.changes] == [("data", "a")]
    assert "ccc" not in one.text


def test_a_text_that_repeats_itself_too_often_to_tell_is_kept() -> None:
    old, other, new = (f"{start} same " * 1000 for start in ("a b", "b a", "c b"))
    assert quieted(old, new, [other], [other]) == new


def test_noise_may_be_a_key_a_number_or_nothing_at_all() -> None:
    def chart(key: str, number: object, word: str = "same") -> Objects:
        return rendered(config(**{key: "x", "number": json.dumps(number), "word": word}))

    old = [chart("k1", 7), chart("k2", 5), chart("k3", 0)]
    new = [chart("k9", 0), chart("k8", 4), chart("k7", 7)]
    assert compare(old[0], new[0], noise_in(old, new)).objects == ()
    new = [chart("k9", 3, "other"), chart("k8", 4, "other"), chart("k7", 1, "other")]
    (one,) = compare(old[0], new[0], noise_in(old, new)).objects
    assert [str(change) for change in one.changes] == ["data.word: same -> other"]


def test_an_object_that_is_there_at_times_hides_nothing() -> None:
    old, new = rendered(config(a="safe")), rendered(config(a="danger"))
    assert compare(old, new, noise_in([old, rendered()], [new, rendered()])).text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("'--key={}'", "'--key={} --insecure'"),
        ("'{}'", "changeme"),
        ("7{}", "1"),
        ("{{k{}: x}}", "{{fixed: x}}"),
    ],
)
def test_what_is_no_noise_after_the_edit_is_seen(old: str, new: str) -> None:
    """What was random before, and is the same each time afterwards, is a change."""
    before = [rendered(config(a=old.format(n))) for n in ("0001", "0002")]
    after = [rendered(config(a=new.format(n))) for n in ("0003", "0004")]
    (one,) = compare(before[0], after[0], noise_in(before, after)).objects
    assert one.changes


def test_objects_of_one_name_are_matched_in_order() -> None:
    def jobs(tag: str) -> Objects:
        text = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: hook-}\nspec: {a: %s}\n"
        return rendered(text % "one", text % tag)

    (one,) = compare(jobs("two"), jobs("three")).objects
    assert [str(change) for change in one.changes] == ["spec.a: two -> three"]


def test_long_values_are_shown_where_they_part() -> None:
    before, after = (rendered(config(a="x" * 500 + word)) for word in ("one", "two"))
    (change,) = compare(before, after).objects[0].changes
    assert str(change) == f"data.a: …{'x' * 20}one -> …{'x' * 20}two"


def test_tabs_and_blanks_at_an_end_are_shown_line_by_line() -> None:
    def lines(word: str) -> Objects:
        return rendered(
            config(conf=json.dumps(f"server {{  \n\tlisten {word};\n}} 😀\n", ensure_ascii=False))
        )

    text = compare(lines("80"), lines("81")).text
    assert "     server {··\n-    ⇥   listen 80;\n+    ⇥   listen 81;\n     } 😀\n" in text


def test_text_of_several_lines_is_shown_line_by_line() -> None:
    def lines(word: str) -> Objects:
        return rendered(config(conf=f'"first\\n{word}\\nlast\\n"'))

    text = compare(lines("second"), lines("other")).text
    assert "-    second\n+    other\n" in text


FOLLOWS = [
    ({"version": "1.4.2"}, {"version": "1.5.0"}),
    ({"version": "v1.4.2-shop"}, {"version": "v1.5.0-shop"}),
    ({"job": "run-1-4-2"}, {"job": "run-1-5-0"}),
    ({"image": "plate/shop:1.4.2"}, {"image": "plate/shop:1.5.0"}),
    ({"checksum/config": "a" * 64}, {"checksum/config": "b" * 64}),
    ({"hash": "a" * 40}, {"hash": "b" * 40}),
    ({"checksum/config": "0123abcd"}, {"checksum/config": "4567cdef"}),
    ({"config-sha": "0123ab"}, {"config-sha": "4567cd"}),
    ({"rollme": "0123abcd"}, {"rollme": "4567cdef"}),
    ({"checksum/cut": "39c95cc1"}, {"checksum/cut": "62739321"}),
    ({"checksum/adler": "219939396"}, {"checksum/adler": "220004931"}),
    ({"checksum/all": "MDEyM2FiY2Q="}, {"checksum/all": "NDU2N2NkZWY="}),
    ({"digits": "142"}, {"digits": "150"}),
    ({"minor": "1.4"}, {"minor": "1.5"}),
    ({"base64": "MS40LjI="}, {"base64": "MS41LjA="}),
    ({"name": "run-8ec5a17a"}, {"name": "run-1f4dc096"}),
    ({"all": "v1.4.2 of 1.4, run-1-4-2"}, {"all": "v1.5.0 of 1.5, run-1-5-0"}),
]
UNASKED = [
    ({"replicas": "3"}, {"replicas": "4"}),
    ({"version": "1.4.2"}, {"version": "1.5.1"}),
    ({"version": "21.4.2"}, {"version": "21.5.0"}),
    ({"version": "1.4.2.1"}, {"version": "1.5.0.1"}),
    ({"version": "1.4.2"}, {"other": "1.5.0"}),
    ({"checksum/config": "no"}, {"checksum/config": "anything at all"}),
    ({"all": "1.4.2 and 1"}, {"all": "1.5.0 and 2"}),
    ({"revision": "0123abcd"}, {"revision": "4567cdef"}),
    ({"major": "v1"}, {"major": "v2"}),
    ({"name": "api-facade"}, {"name": "api-decade"}),
    ({"role-id": "0123456789abcdef0123"}, {"role-id": "abcdef01234567890123"}),
    ({"minor": "1.4"}, {"minor": ""}),
    ({"checksum-port": "80801"}, {"checksum-port": "80802"}),
]


@pytest.mark.parametrize(("old", "new"), FOLLOWS)
def test_what_follows_the_tag_is_asked(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = rendered(pod("shop:1.4.2", **old)), rendered(pod("shop:1.5.0", **new))
    assert proved(before, after, Ask("shop", "1.5.0")) == ()


@pytest.mark.parametrize(("old", "new"), UNASKED)
def test_anything_else_is_refused(old: dict[str, str], new: dict[str, str]) -> None:
    before, after = rendered(pod("shop:1.4.2", **old)), rendered(pod("shop:1.5.0", **new))
    with pytest.raises(PlanRefused, match=r"would change more than the image") as caught:
        proved(before, after, Ask("shop", "1.5.0"))
    assert f"Pod shop: metadata.annotations.{next(iter(new))}: " in caught.value.why


LONG = "1.4.2-" + "a" * 56 + ".x"
LONG_NEW = LONG.replace("1.4.2", "1.5.0")


@pytest.mark.parametrize(
    ("old", "new", "was", "becomes"),
    [
        ("sha-abcdef1", "sha-1234567", "abcdef1", "1234567"),
        ("main-abc1234-1700000000", "main-def5678-1800000000", "abc1234", "def5678"),
        ("1.4.2-alpine", "1.5.0-alpine", "1.4.2", "1.5.0"),
        (
            LONG,
            LONG.replace("1.4.2", "1.5.0"),
            LONG[:63].rstrip("."),
            LONG[:63].rstrip(".").replace("1.4.2", "1.5.0"),
        ),
        ("main-20261101-1200-0", "main-20261126-1830-9", "x-main-20261101-1", "x-main-20261126-1"),
        ("v2026.11.24.1", "v2026.11.25.3", "shop-v2026-11-24", "shop-v2026-11-25"),
        ("26.0", "26.1", "26.0.0", "26.1.0"),
        ("release-41", "release-42", "41", "42"),
        ("1.4.2", "1.5.0-checkout-redesign", "shop-1.4.2", "shop-1.5.0-checkout"),
        ("1.4.2", "1.5.0-checkout-redesign", "1.4.2", "1.5.0-c"),
        ("master-0a1b2c3", "hotfix-login-9f8e7d6", "0a1b2c3", "9f8e7d6"),
        ("v1.4.2", "v1.5.0", "V1.4.2", "V1.5.0"),
    ],
)
def test_a_part_of_the_tag_follows(old: str, new: str, was: str, becomes: str) -> None:
    before, after = rendered(pod(f"s:{old}", a=was)), rendered(pod(f"s:{new}", a=becomes))
    assert proved(before, after, Ask("s", new)) == ()


FIELD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec: {template: {spec: {containers: [{name: shop, image: 'shop:%s', %s}]}}}
"""


@pytest.mark.parametrize(
    ("tags", "was", "becomes", "asked"),
    [
        (("1234", "1235"), "build: 1234", "build: 1235", True),
        (
            ("1234", "1235"),
            "terminationGracePeriodSeconds: 1234",
            "terminationGracePeriodSeconds: 1235",
            False,
        ),
        (("1", "2"), "args: ['1']", "args: ['2']", False),
        (("1.4.2", "2.0.0"), "args: [redis-v1.internal]", "args: [redis-v2.internal]", False),
        (("1.4.2", "1.5.0"), "imagePullPolicy: Always", "imagePullPolicy: IfNotPresent", False),
        (("latest", "1.5.0"), "imagePullPolicy: Always", "imagePullPolicy: Never", False),
        (("1.4.2", "1.5.0"), "claimName: data-1-4-2", "claimName: data-1-5-0", False),
        (("1.4.2", "1.5.0"), "build: 1234", "build: 1235", False),
        (("7", "8"), "build: 7", "build: 8", True),
        (("41", "42"), "args: ['41']", "args: ['42']", True),
        (("41", "42"), "args: ['4141']", "args: ['4242']", False),
        (("1.0.0", "2.0.0"), "args: [--max=100]", "args: [--max=200]", False),
        (("8.0.80", "8.0.90"), "args: [--port=8080]", "args: [--port=8090]", False),
        (("0.5.3", "1.0.0"), "args: ['0.5']", "args: ['1.0']", False),
        (("10", "12"), "revisionHistoryLimit: 10", "revisionHistoryLimit: 12", False),
        (("70", "80"), "targetPercentage: 70", "targetPercentage: 80", False),
        (("staging-0a1", "prod-0a2"), "args: [--db=staging]", "args: [--db=prod]", False),
        (("1.4.2", "1.5.0"), "subPath: data-1.4.2", "subPath: data-1.5.0", False),
        (("1.4.2", "1.5.0"), "subPathExpr: data-1.4.2", "subPathExpr: data-1.5.0", False),
        (("1.4.2", "1.5.0"), "hostPath: {path: /1.4.2}", "hostPath: {path: /1.5.0}", False),
        (("1.4.2", "1.5.0-rc.1"), "args: [x21.4.2]", "args: [x21.5.0-rc]", False),
        (("16.2", "16.4"), "version: 16.2", "version: 16.4", True),
        (("16", "16.4"), "version: 16", "version: 16.4", True),
        (("16.2", "16.4"), "ratio: 16.2", "ratio: 16.4", False),
        (("16.2", "16.4"), "imageBudget: 16.2", "imageBudget: 16.4", False),
        (("1.4.2", "1.5.0"), "a: b", "a: b, nodeName: ''", False),
        (("v1.4.2", "v1.5.0"), "args: [web-1-4-2]", "args: [web-1-5-0]", True),
        (("1.4.2-RC1", "1.4.2-RC2"), "args: [1.4.2-rc1]", "args: [1.4.2-rc2]", True),
        (("1.4.2", "1.5.0"), "imagePullPolicy: {a: Always}", "imagePullPolicy: [a]", False),
        (
            ("1.4.2", "1.5.0"),
            "env: [{name: SHARED_BUFFERS_KB, value: '131072'}]",
            "env: [{name: SHARED_BUFFERS_KB, value: '65536'}]",
            False,
        ),
        (
            ("1.4.2", "1.5.0"),
            "env: [{name: CONFIG_HASH, value: '131072'}]",
            "env: [{name: CONFIG_HASH, value: '65536'}]",
            False,
        ),
        (("latest", "1.5.0"), "imagePullPolicy: Always", "imagePullPolicy: IfNotPresent", True),
        (
            ("1", "2"),
            "env: [{name: CONFIG_HASH, value: 0123abcd}]",
            "env: [{name: CONFIG_HASH, value: 4567cdef}]",
            True,
        ),
        (
            ("1", "2"),
            "env: [{name: COMMIT, value: 0123abcd}]",
            "env: [{name: COMMIT, value: 4567cdef}]",
            False,
        ),
    ],
)
def test_a_field_beside_the_image(
    tags: tuple[str, str], was: str, becomes: str, *, asked: bool
) -> None:
    before, after = rendered(FIELD % (tags[0], was)), rendered(FIELD % (tags[1], becomes))
    if asked:
        assert proved(before, after, Ask("shop", tags[1])) == ()
        return
    with pytest.raises(PlanRefused, match="would change more than the image"):
        proved(before, after, Ask("shop", tags[1]))


@pytest.mark.parametrize(
    ("kind", "name", "namespace"),
    [
        ("PersistentVolumeClaim", "data-%s", "shop"),
        ("StatefulSet", "db-%s", "shop"),
        ("Cluster", "db-%s", "shop"),
        ("ConfigMap", "shop", "shop-%s"),
    ],
)
def test_what_holds_something_is_not_renamed_with_the_tag(
    kind: str, name: str, namespace: str
) -> None:
    def chart(tag: str) -> Objects:
        api = "postgresql.cnpg.io/v1" if kind == "Cluster" else "v1"
        text = (
            f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
        )
        return rendered(pod(f"s:{tag}"), text.replace("%s", tag))

    with pytest.raises(PlanRefused, match="would change more than the image"):
        proved(chart("111"), chart("222"), Ask("s", "222"))


@pytest.mark.parametrize(
    ("api", "kind"), [("networking.istio.io/v1", "VirtualService"), ("x.io/v1", "ServiceMonitor")]
)
def test_what_holds_nothing_may_be_named_by_the_tag(api: str, kind: str) -> None:
    def chart(tag: str) -> Objects:
        return rendered(
            pod(f"s:{tag}"), f"apiVersion: {api}\nkind: {kind}\nmetadata: {{name: s-{tag}}}\n"
        )

    assert proved(chart("111"), chart("222"), Ask("s", "222")) == ()


BLANK = FIELD.replace("shop:%s", "shop:1.4.2") % "env: [{name: TAG, value: %s}]"


@pytest.mark.parametrize(("becomes", "asked"), [("1.5.0", True), ("1.5.1", False)])
def test_what_says_an_empty_tag_says_the_new_one(becomes: str, *, asked: bool) -> None:
    before = rendered(BLANK % "''")
    after = rendered(BLANK.replace("1.4.2", "1.5.0") % becomes)
    keys = replace(keys_of(before), values={Key.parse("image.tag"): ""})
    wanted = [Wanted(keys, Ask("shop", "1.5.0"))]
    if asked:
        assert prove(compare(before, after), before, after, wanted) == ()
        return
    with pytest.raises(PlanRefused, match=r"env\.0\.value"):
        prove(compare(before, after), before, after, wanted)


PARTS = """\
apiVersion: apps.example.com/v1
kind: Shop
metadata: {name: shop}
spec: {image: {repository: shop, tag: %s, digest: "%s"}}
"""


@pytest.mark.parametrize(("was", "becomes"), [(OLD, ""), ("", NEW), (OLD, NEW)])
def test_a_digest_beside_the_tag_comes_and_goes(was: str, becomes: str) -> None:
    before, after = rendered(PARTS % ("1.4.2", was)), rendered(PARTS % ("1.5.0", becomes))
    keys, key = keys_of(before), Key.parse("image.digest")
    keys = replace(keys, digest=key, digests=keys.affixes, values={**keys.values, key: was})
    wanted = [Wanted(keys, Ask("shop", "1.5.0", becomes or None))]
    found = prove(compare(before, after), before, after, wanted)
    assert [one.code for one in found] == ([] if becomes else ["digest-dropped"])


A_SHA, B_SHA = "1a2b3c4d5e6f" * 5 + "1a2b", "9f8e7d6c5b4a" * 5 + "9f8e"
A_BOTH, B_BOTH = f"s:1@sha256:{A_SHA}", f"s:2@sha256:{B_SHA}"


@pytest.mark.parametrize(
    ("old", "new", "ask", "was", "becomes"),
    [
        (A_BOTH, B_BOTH, B_SHA, A_SHA[:12], B_SHA[:12]),
        (
            A_BOTH,
            B_BOTH,
            B_SHA,
            f"sha-{A_SHA[:8]}",
            f"sha-{B_SHA[:8]}",
        ),
        (f"s:1.4@sha256:{A_SHA}", "s:1.5", None, A_SHA[:12], "1.5"),
        ("s:1.4", f"s:1.5@sha256:{B_SHA}", B_SHA, "1.4", B_SHA[:12]),
        (
            f"s:1.4@sha256:{A_SHA}",
            f"s:1.5@sha256:{B_SHA}",
            B_SHA,
            f"1-4-sha256-{A_SHA}"[:63],
            f"1-5-sha256-{B_SHA}"[:63],
        ),
    ],
)
def test_a_label_may_say_the_digest(
    old: str, new: str, ask: str | None, was: str, becomes: str
) -> None:
    before, after = rendered(pod(old, a=was)), rendered(pod(new, a=becomes))
    digest = f"sha256:{ask}" if ask else None
    tag = split_image(new).tag or ""
    found = proved(before, after, Ask("s", tag, digest))
    assert {one.code for one in found} <= {"digest-dropped"}


@pytest.mark.parametrize(
    ("kind", "asked"), [("Job", True), ("ConfigMap", True), ("Service", False)]
)
def test_an_object_with_a_hash_in_its_name(kind: str, *, asked: bool) -> None:
    def chart(tag: str, name: str) -> Objects:
        text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
        return rendered(pod(f"s:{tag}"), text)

    names = ("app-776db-job", "app-4d889-job") if asked else ("app-eu-web", "app-us-web")
    before, after = chart("1.4.2", names[0]), chart("1.5.0", names[1])
    if asked:
        assert proved(before, after, Ask("s", "1.5.0")) == ()
        return
    with pytest.raises(PlanRefused, match="would change more"):
        proved(before, after, Ask("s", "1.5.0"))


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("postgres:13.1", "postgres:1.5.0"),
        ("redis:7-alpine", "redis:7-debian"),
        ("x/alpine/redis:7", "x/debian/redis:7"),
        ("redis:7.0.1", "redis:1.5.0-debian"),
    ],
)
def test_another_image_is_no_consequence(was: str, becomes: str) -> None:
    def chart(tag: str, other: str) -> Objects:
        beside = pod(other).replace("name: shop\n  a", "name: other\n  a")
        return rendered(pod(f"shop:{tag}"), beside)

    before, after = chart("1.4.2-alpine", was), chart("1.5.0-debian", becomes)
    keys = replace(keys_of(before), affixes={keys_of(before).containers[0]: Affixes()})
    wanted = [Wanted(keys, Ask("shop", "1.5.0-debian"))]
    with pytest.raises(PlanRefused, match=r"Pod other: spec\.containers\.0\.image"):
        prove(compare(before, after), before, after, wanted)


def test_a_job_is_no_other_job() -> None:
    def chart(tag: str, name: str) -> Objects:
        return rendered(
            pod(f"s:{tag}"), f"apiVersion: batch/v1\nkind: Job\nmetadata: {{name: {name}}}\n"
        )

    before, after = chart("1.4.2", "migrate"), chart("1.5.0", "wipe")
    with pytest.raises(PlanRefused, match="migrate -> wipe"):
        proved(before, after, Ask("s", "1.5.0"))


LINES = [
    "-" * 50_000,
    "--secret" * 5_000,
    "\n" * 50_000,
    "a" * 200_000,
    "x_" * 50_000,
    "://" * 9_000,
    "password=" * 30_000,
    "-x " * 60_000,
]


@pytest.mark.parametrize("text", LINES, ids=[text[:8] for text in LINES])
def test_a_long_text_is_looked_through_at_once(text: str) -> None:
    """Each took many seconds."""
    old, new = (rendered(config(a=json.dumps(f"{n}{text}"))) for n in "12")
    assert compare(old, new).objects


def test_an_image_with_an_empty_digest_is_none() -> None:
    before, after = rendered(pod(f"s:1@{OLD}")), rendered(pod('"s:2@"'))
    with pytest.raises(PlanRefused, match="s:2@, which is no image") as caught:
        proved(before, after, Ask("s", "2"))
    assert "Ask for a digest too: s=2@sha256:..." in caught.value.todo


def test_the_name_of_a_major_version_follows() -> None:
    before, after = rendered(pod("shop:1.4.2", api="v1")), rendered(pod("shop:2.0.0", api="v2"))
    assert proved(before, after, Ask("shop", "2.0.0")) == ()


@pytest.mark.parametrize(
    ("was", "becomes", "asked"), [("0a1b2c3d", "9f8e7d6c", True), ("eu", "us", False)]
)
def test_a_name_that_ends_in_a_hash_of_the_content_follows(
    was: str, becomes: str, *, asked: bool
) -> None:
    before, after = (
        rendered(pod(f"shop:{tag}", config=f"shop-{name}"), config(f"shop-{name}", tag=f"'{tag}'"))
        for tag, name in (("1.4.2", was), ("1.5.0", becomes))
    )
    if asked:
        assert proved(before, after, Ask("shop", "1.5.0")) == ()
        return
    with pytest.raises(PlanRefused, match=r"metadata.name: shop-eu -> shop-us"):
        proved(before, after, Ask("shop", "1.5.0"))


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [("shop:1", "shop:1", ["image-left-behind"]), ("shop:1-debug", "shop:2-debug", [])],
)
def test_only_an_image_that_stays_is_left_behind(was: str, becomes: str, told: list[str]) -> None:
    def pods(one: str, other: str) -> Objects:
        return rendered(pod(one), pod(other).replace("name: shop\n  a", "name: other\n  a"))

    before, after = pods("shop:1", was), pods("shop:2", becomes)
    keys = replace(keys_of(before), affixes={keys_of(before).containers[0]: Affixes()})
    found = prove(compare(before, after), before, after, [Wanted(keys, Ask("shop", "2"))])
    assert [one.code for one in found] == told


@pytest.mark.parametrize("appears", [True, False])
def test_an_object_that_appears_or_goes_is_refused(*, appears: bool) -> None:
    more, less = (pod("shop:2"), config()), (pod("shop:2"),)
    before = rendered(*(part.replace("shop:2", "shop:1") for part in (less if appears else more)))
    after = rendered(*(more if appears else less))
    with pytest.raises(PlanRefused, match="ConfigMap shop: the object"):
        proved(before, after, Ask("shop", "2"))


@pytest.mark.parametrize(
    ("image", "ask"),
    [
        ("shop:1", Ask("shop", "2")),
        ("shop:v2", Ask("shop", "2")),
        (f"shop:2@{OLD}", Ask("shop", "2")),
        (f"shop:2@{OLD}", Ask("shop", "2", NEW)),
        ("shop:2", Ask("shop", "2", NEW)),
    ],
)
def test_a_container_without_the_asked_image_is_no_effect(image: str, ask: Ask) -> None:
    before, after = rendered(pod("shop:1")), rendered(pod(image))
    with pytest.raises(NoEffect, match=f"container shop would run {image}"):
        proved(before, after, ask)


@pytest.mark.parametrize(
    ("keys", "ask", "written"),
    [
        (("1", None, False), Ask("s", "2"), {"main": "2"}),
        (("1", None, False), Ask("s", "2", NEW), {"main": f"2@{NEW}"}),
        ((f"1@{OLD}", None, False), Ask("s", "2"), {"main": "2"}),
        (("1", OLD, False), Ask("s", "2"), {"main": "2", "digest": ""}),
        (("1", OLD, False), Ask("s", "2", NEW), {"main": "2", "digest": NEW}),
        (("1", OLD[7:], False), Ask("s", "2", NEW), {"main": "2", "digest": NEW[7:]}),
        (("1", "", False), Ask("s", "2", NEW), {"main": "2", "digest": NEW}),
        (("r:5000/s:1", None, True), Ask("s", "2"), {"main": "r:5000/s:2"}),
        ((f"r/s@{OLD}", None, True), Ask("s", "2"), {"main": "r/s:2"}),
        ((f"r/s:1@{OLD}", None, True), Ask("s", "2", NEW), {"main": f"r/s:2@{NEW}"}),
    ],
)
def test_what_is_written_at_each_key(
    keys: tuple[str, str | None, bool], ask: Ask, written: dict[str, str]
) -> None:
    main, digest, whole = keys
    values = {Key.parse("main"): main}
    if digest is not None:
        values[Key.parse("digest")] = digest
    (container,) = containers(rendered(pod("s:1")))
    around = Affixes("" if digest is None or ":" in (digest or ":") else "sha256:")
    found = ImageKeys(
        file="values.yaml",
        main=Key.parse("main"),
        whole=whole,
        affixes={container: Affixes()},
        values=values,
        digest=Key.parse("digest") if digest is not None else None,
        digests={container: around} if digest is not None else {},
    )
    assert {str(key): text for key, text in to_write(found, ask).items()} == written
