"""Which of the values that hold an image's tag is the service's. Pure."""

import re
from collections.abc import Iterator, Sequence

from plate_release.charts.search import Candidate, Search, Sought, as_text
from plate_release.charts.winner import editable, last_file
from plate_release.charts.workloads import Container, split_image
from plate_release.errors import NoEffect, PlanRefused, some_of
from plate_release.values import find

_SHOWN = 20
_TAG = re.compile(r"tag|image|version", re.IGNORECASE)


def only(searches: Sequence[Search], found: Sequence[Candidate], sought: Sought) -> Candidate:
    """Choose the only candidate, or the only one that a file of the environment sets.

    Of one that it fills and others that it leaves blank it is the one, if that goes by the
    service's name. Raises PlanRefused where none or several fit.
    """
    file = sought.values_file
    if file:
        everyone = found
        found = [one for one in found if one.stands_in(file)]
        if not found:
            _refuse_overridden(everyone, file)
    own = [one for one in found if one.is_own]
    filled = [one for one in own if as_text(one.value)]
    for choice in (found, own, filled if all(f.goes_by(sought.service) for f in filled) else []):
        if len(choice) == 1:
            return choice[0]
    name = searches[0].name
    if found:
        raise PlanRefused(
            f"Several keys of {name} hold an image's tag.",
            why="\n".join(some_of([str(one) for one in found], _SHOWN)),
            todo=f"Choose one in {sought.config_file}, such as {_choice(found, sought)}.",
        )
    images = [f"{c}: {_told(c.image)}" for search in searches for c in search.containers]
    raise PlanRefused(
        f"No values key of {name}{f' in {file}' if file else ''} decides a container's tag.",
        why="\n".join(some_of(images, _SHOWN)) or "The chart runs no container.",
        todo="Let the chart take the tag from its values, and set it in"
        f" {last_file(searches[0].chart.inputs)}.",
    )


def _refuse_overridden(found: Sequence[Candidate], file: str) -> None:
    """Raise NoEffect where a values file sets a key, and something else sets it after that."""
    for one in found:
        layers = one.search.chart.inputs.layers
        named = [layer for layer in layers if layer.goes_by(file)]
        if one.setter and any(find(layer.data, one.key, file=file) for layer in named):
            editable(one.search.chart.inputs, one.path, one.setter)
            raise NoEffect(
                f"the edit has no effect: {one.setter.file} sets {one.key} too",
                why=f"It is read after {file}.",
                todo=f"Remove it there, or name {one.setter.file} as values-file.",
            )


def refuse_stranger(
    tag: Candidate, found: Sequence[Candidate], searches: Sequence[Search], sought: Sought
) -> None:
    """Raise PlanRefused for what may be the tag of another image than the service's.

    That is a sidecar's where another container is the service by its name; and where none is, any
    where other workloads run other images.
    """
    service, file = sought.service, sought.config_file
    everyone = [container for search in searches for container in search.containers]
    own = next(filter(None, _own(tag, found, everyone, service)), [])
    is_meant = f"{sought.setting('tag-key', tag.named_key)} in {file} if it is meant"
    by_chart = f"let the chart take the tag of {service} from its values"
    if own and not any(one in tag.containers or _follows(one, tag) for one in own):
        others = [one for one in found if not set(own).isdisjoint(one.containers)]
        raise PlanRefused(
            f"{tag.key} holds the tag of {tag.containers[0]}, which is not {service} by its name.",
            why="\n".join(some_of([f"{own[0]}: {_told(own[0].image)}", *map(str, found)], _SHOWN)),
            todo=f"Set {sought.setting('tag-key', others[0].named_key)} in {file}."
            if others
            else f"Set {is_meant}; else {by_chart}.",
        )
    if not own and (beside := _other_workloads(tag, searches, service)):
        told = [f"{one}: {_told(one.image)}" for one in beside]
        raise PlanRefused(
            f"{tag.key} holds the tag of {tag.containers[0]}, which may not be {service}.",
            why="\n".join(["Other containers run other images:", *some_of(told, _SHOWN)]),
            todo=f"Set {is_meant}; else {by_chart}.",
        )


def _other_workloads(tag: Candidate, searches: Sequence[Search], service: str) -> list[Container]:
    """Return the first containers of running workloads that may be the service rather.

    There are none where a container of `tag` goes by the service's name. What subcharts bring
    counts only where the tag is of one, too.
    """
    if tag.goes_by(service):
        return []
    is_below = all(map(tag.search.is_of_subchart, tag.containers))
    return [
        one
        for search in searches
        for one in search.containers
        if (is_below or not search.is_of_subchart(one))
        and one.is_first
        and one.object.kind not in {"Job", "CronJob"}
        and not one.object.hooks
        and one not in tag.containers
        and not _follows(one, tag)
    ]


def _follows(container: Container, tag: Candidate) -> bool:
    """Whether a container's tag holds the tag too."""
    text, other = as_text(tag.value), split_image(container.image).tag or ""
    whole = rf"(?<![0-9.]){re.escape(text)}(?!\.?[0-9])"
    return text != "" and re.search(whole, other) is not None


def _own(
    tag: Candidate, found: Sequence[Candidate], everyone: Sequence[Container], service: str
) -> Iterator[list[Container]]:
    """Give the containers that may be the service, surest first.

    By their image, by their name where a key holds their tag, and as the first one in a workload of
    its name where those of `tag` stand beside it.
    """
    yield [one for one in everyone if _last(split_image(one.image).repository) == service]
    keyed = {container for candidate in found for container in candidate.containers}
    yield [one for one in everyone if one.name == service and one in keyed]
    workloads = {one.object.identity for one in tag.containers}
    first = [one for one in everyone if one.is_first and one.object.name == service]
    yield [one for one in first if workloads == {one.object.identity}]


def _is_named_exactly(candidate: Candidate, service: str) -> bool:
    return any(
        service in {one.name, _last(split_image(one.image).repository)}
        for one in candidate.containers
    )


def _last(repository: str) -> str:
    return repository.rpartition("/")[2]


def _told(image: str) -> str:
    split = split_image(image)
    return f"{image}, by its digest alone" if split.digest and not split.tag else image


def _choice(found: Sequence[Candidate], sought: Sought) -> str:
    """Return the setting that would choose the likeliest."""

    def unlikely(one: Candidate) -> tuple[bool, ...]:
        called = _is_named_exactly(one, sought.service)
        near = called or one.goes_by(sought.service)
        first = any(container.is_first for container in one.containers)
        return not called, not near, not one.is_own, not first, not _TAG.search(str(one.path[-1]))

    first, *others = sorted(found, key=unlikely)
    if first.setter and all(one.path == first.path for one in others):
        return sought.setting("values-file", first.setter.file)
    return sought.setting("tag-key", first.named_key)
