"""How long a tag edit takes, as a multiple of libyaml composing the same file.

Run: python benchmarks/bench_values.py [ROUNDS]. Each line is one shape of file; the two are timed
in turns, in CPU seconds, and the medians compared. Only the first has a bound (1.5); the other
shapes are given at two sizes, so that growth faster than the file shows in the last column.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import yaml

from plate_release.values import Key, splice

SERVICE = """service-{i}:
  # what the team of service {i} runs
  replicaCount: 2
  image:
    repository: registry.example.com/plate/service-{i}
    tag: "1.{i}.0"  # set by releases
    pullPolicy: IfNotPresent
  resources: {{requests: {{cpu: 100m, memory: 128Mi}}, limits: {{memory: 256Mi}}}}
  env:
    - {{name: LOG_LEVEL, value: info}}
    - {{name: PORT, value: "8080"}}
  nodeSelector: {{}}
"""


def values(lines: int) -> tuple[str, str]:
    count = lines // 12
    return "".join(SERVICE.format(i=i) for i in range(count)), f"service-{count // 2}.image.tag"


def as_json(services: int) -> tuple[str, str]:
    return json.dumps(yaml.safe_load(values(12 * services)[0]), indent=2), "service-1.image.tag"


def quoted(keys: int) -> tuple[str, str]:
    return "".join(f'"k{i}": "v{i}"\n' for i in range(keys)) + '"tag": "a"\n', "tag"


def deep(levels: int) -> tuple[str, str]:
    text = "".join(f"{'  ' * i}k:\n" for i in range(levels)) + f"{'  ' * levels}tag: a\n"
    return text, "k." * levels + "tag"


def wide(keys: int) -> tuple[str, str]:
    return "".join(f"k{i}: v{i}\n" for i in range(keys)) + "tag: a\n", "tag"


def long_line(items: int) -> tuple[str, str]:
    return "a: {" + "".join(f"k{i}: v{i}, " for i in range(items)) + "tag: a}\n", "a.tag"


def long_scalar(characters: int) -> tuple[str, str]:
    return f'a: "{"x" * characters}"\ntag: a\n', "tag"


def aliases(count: int) -> tuple[str, str]:
    return "a: &a {x: 1}\n" + "".join(f"k{i}: *a\n" for i in range(count)) + "tag: a\n", "tag"


SHAPES = [
    (as_json, 500),
    (quoted, 10_000),
    (deep, 90),
    (wide, 10_000),
    (long_line, 10_000),
    (long_scalar, 500_000),
    (aliases, 10_000),
]


def cpu(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def measure(text: str, key: str, rounds: int) -> tuple[float, float]:
    """Return the median CPU seconds of compose and of splice."""
    data, wanted = text.encode(), Key.parse(key)
    composed, spliced = [], []
    for _ in range(rounds):
        composed.append(cpu(lambda: yaml.compose(data, Loader=yaml.CSafeLoader)))
        spliced.append(cpu(lambda: splice(data, {wanted: "9.9.9"}, file="values.yaml")))
    return statistics.median(composed), statistics.median(spliced)


def report(name: str, text: str, key: str, rounds: int) -> float:
    composed, spliced = measure(text, key, rounds)
    per_mb = spliced / len(text) * 1e6
    print(f"{name:24}{composed:10.4f}{spliced:10.4f}{spliced / composed:8.2f}{per_mb:12.3f}")
    return spliced / composed


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'file':24}{'compose s':>10}{'splice s':>10}{'ratio':>8}{'splice s/MB':>12}")
    ratio = report("12,000 lines", *values(12_000), rounds)
    for shape, size in SHAPES:
        for factor in (1, 2):
            report(f"{shape.__name__} {size * factor}", *shape(size * factor), rounds)
    return ratio > 1.5


if __name__ == "__main__":
    sys.exit(main())
