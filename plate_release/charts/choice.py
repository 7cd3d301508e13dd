"""Which of the values that hold an image's tag is the service's. Pure."""

from collections.abc import Iterator, Sequence

from plate_release.charts.candidates import Candidate, Search, as_text
from plate_release.charts.inputs import Layer, Parameter
from plate_release.charts.workloads import Container, split_image
from plate_release.errors import PlanRefused, some_of

_SHOWN = 20


def only(
    searches: Sequence[Search], found: list[Candidate], values_file: str | None, service: str
) -> Candidate:
    """Choose the only candidate, or the only one that a file of the environment sets.

    Raises PlanRefused where none or several fit.
    """
    if values_file:
        found = [one for one in found if one.setter and one.setter.goes_by(values_file)]
    own = [one for one in found if one.setter and not _is_default(one.setter)]
    for choice in (found, own):
        if len(choice) == 1:
            return choice[0]
    name = searches[0].name
    if found:
        raise PlanRefused(
            f"Several keys of {name} hold an image's tag.",
            why="\n".join(some_of([str(one) for one in found], _SHOWN)),
            todo=f"Choose one in the configuration, such as {_choice(found, service)}.",
        )
    images = [f"{c}: {_told(c.image)}" for search in searches for c in search.containers]
    raise PlanRefused(
        f"No values key of {name}{f' in {values_file}' if values_file else ''} decides"
        " a container's tag.",
        why="\n".join(some_of(images, _SHOWN)) or "The chart runs no container.",
        todo="Let the chart take the tag from its values, set it in a values file of the"
        " environment, or name the key as `tag-key`.",
    )


def _is_default(setter: Layer | Parameter) -> bool:
    return isinstance(setter, Layer) and setter.is_default


def refuse_stranger(
    tag: Candidate, found: Sequence[Candidate], searches: Sequence[Search], service: str
) -> None:
    """Raise PlanRefused for a sidecar's tag where another container is the service by its name."""
    everyone = [container for search in searches for container in search.containers]
    own = next(filter(None, _own(tag, found, everyone, service)), [])
    if not own or any(one in tag.containers or as_text(tag.value) in one.image for one in own):
        return
    others = [one for one in found if not set(own).isdisjoint(one.containers)]
    raise PlanRefused(
        f"{tag.key} holds the tag of {tag.containers[0]}, which is not {service} by its name.",
        why="\n".join(some_of([f"{own[0]}: {_told(own[0].image)}", *map(str, found)], _SHOWN)),
        todo=f"Name the key of {service} in the configuration, such as `tag-key: {others[0].key}`."
        if others
        else f"Let the chart take the tag of {service} from its values, and set it there.",
    )


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
    first = [one for one in everyone if one.place[-1][-2:] == ("containers", 0)]
    yield [
        one for one in first if one.object.name == service and workloads == {one.object.identity}
    ]


def _is_called(candidate: Candidate, service: str) -> bool:
    return any(
        service in {one.name, _last(split_image(one.image).repository)}
        for one in candidate.containers
    )


def _last(repository: str) -> str:
    return repository.rpartition("/")[2]


def _told(image: str) -> str:
    split = split_image(image)
    return f"{image}, by its digest alone" if split.digest and not split.tag else image


def _choice(found: Sequence[Candidate], service: str) -> str:
    """Return the line of the configuration that would choose the likeliest."""
    first, *others = sorted(found, key=lambda one: not _is_called(one, service))
    if first.setter and all(one.path == first.path for one in others):
        return f"`values-file: {first.setter.file}`"
    return f"`tag-key: {first.key}`"
