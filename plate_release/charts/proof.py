"""Prove that an edit brings the asked image to the containers, and nothing else. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest

from plate_release.charts.derived import Shift, Shifts, follows, is_hash, shifted
from plate_release.charts.difference import Change, Difference
from plate_release.charts.key import Wanted
from plate_release.charts.objects import KubernetesObject, Objects
from plate_release.charts.workloads import Container, ContainerPlace, containers, split_image
from plate_release.errors import NoEffect, PlanRefused, some_of
from plate_release.model import Check, Finding, Image

# What goes with its name: what they hold is not carried over.
_KEEPERS = {  # beside most custom resources
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "StatefulSet",
}
# Kinds and groups of custom resources that hold none.
_FORGETFUL = {
    *("PodMonitor", "PrometheusRule", "ServiceMonitor"),
    *("AnalysisRun", "AnalysisTemplate", "Rollout", "Workflow", "WorkflowTemplate"),
    *("external-secrets.io", "gateway.networking.k8s.io", "keda.sh"),
    *("networking.istio.io", "tekton.dev", "traefik.io"),
}
_PULLED = ["Always", "IfNotPresent"]
_SHOWN = 10


def unexplained(difference: Difference, wanted: Sequence[Wanted]) -> Iterator[str]:
    """Give what changes beyond the images, without a reason that lies in them.

    A value follows the image where it is the same text with the old tag or digest replaced by the
    new one (a version label, a Job's name), or where it is a checksum.
    """
    shifts = Shifts.of(wanted, _renamed(difference))
    for one in difference.objects:
        if one.before is None or one.after is None:
            yield from one.told()
        elif _keeps(one.after) and one.before.name != one.after.name:
            yield f"{one.before}: {one.after} would take its place, without what it holds"
        else:
            for change in one.changes:
                if not _is_explained(one.after, change, shifts, wanted):
                    yield f"{one}: {change}"


def _keeps(one: KubernetesObject) -> bool:
    """Whether what an object holds may go with its name, as a database of an operator's does."""
    return one.kind in _KEEPERS or (one.is_custom and not _FORGETFUL & {one.kind, one.group})


def _is_explained(
    one: KubernetesObject, change: Change, shifts: Shifts, wanted: Sequence[Wanted]
) -> bool:
    if change.path == ("metadata", "namespace"):
        return False
    if change.path[-1:] == ("image",):
        return _is_asked_image(change, shifts, wanted)
    return follows(one, change, shifts) or _is_pull_policy(one, change, wanted)


def _is_pull_policy(one: KubernetesObject, change: Change, wanted: Sequence[Wanted]) -> bool:
    """Whether it says when an asked image is pulled, which is another time for `latest`."""
    *holder, last = change.path
    sides = [change.before, change.after]
    if last != "imagePullPolicy" or sides not in (_PULLED, _PULLED[::-1]):
        return False
    return any(
        container.object.template == one.template
        and container.place[-1] == tuple(holder)
        and "latest" in {split_image(container.image).tag, of.image(container).tag}
        for of, container in _of_each(wanted)
    )


def _renamed(difference: Difference) -> Iterator[Shift]:
    """Give the names of Jobs, and those with a hash of their content, by which others name them."""
    for one in difference.objects:
        if one.before and one.after and one.before.name != one.after.name:
            old, new = one.before.name, one.after.name
            parts = list(zip_longest(old.split("-"), new.split("-"), fillvalue=""))
            changed = [pair for pair in parts if len(set(pair)) > 1]
            same_start = len(set(parts[0])) == 1
            if (one.after.kind == "Job" and same_start) or all(map(is_hash, chain(*changed))):
                yield old, new


def prove(
    difference: Difference, before: Objects, after: Objects, wanted: Sequence[Wanted]
) -> tuple[Finding, ...]:
    """Check what edits would do to an Application, and return what a reviewer should know.

    Raises NoEffect where a container would not run the asked image, PlanRefused where anything
    else would change.
    """
    now = {container.place: container.image for container in containers(after)}
    # A container may take its tag from the one key or, where that is empty, from the other.
    asked: dict[ContainerPlace, list[Image]] = defaultdict(list)
    for one, container in _of_each(wanted):
        asked[container.place].append(one.image(container))
    for one, container in _of_each(wanted):
        image = now.get(container.place)
        if image is not None and str(split_image(image)) != image:
            raise PlanRefused(
                f"{container} would run {image}, which is no image.",
                why="The chart puts a tag or a digest there that is empty then.",
                todo=f"Ask for a digest too: {one.ask.service}={one.ask.tag}@sha256:...",
            )
        # One that is gone is told below as what nobody asked for.
        is_asked = any(_is(split_image(image or ""), each) for each in asked[container.place])
        if image is not None and not is_asked:
            raise NoEffect(
                f"the edit has no effect: {container} would run {image}",
                why=f"Asked was {one.image(container)}.",
                todo="See which other value or template decides the image.",
            )
    unasked = list(unexplained(difference, wanted))
    if unasked:
        raise PlanRefused(
            f"{_edits(wanted)} would change more than the image.",
            why="\n".join(some_of(unasked, _SHOWN)),
            todo="Let the chart take nothing else from the tag; or, where the change is meant, make"
            " it by hand, in one commit with the tag.",
        )
    return tuple(_findings(before, after, wanted))


def _of_each(wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, Container]]:
    yield from ((one, container) for one in wanted for container in one.keys.containers)


def _edits(wanted: Sequence[Wanted]) -> str:
    keys = [str(one.keys.main) for one in wanted]
    return f"The edit{'s' if len(keys) > 1 else ''} of {' and '.join(keys) or 'other services'}"


def _findings(before: Objects, after: Objects, wanted: Sequence[Wanted]) -> Iterator[Finding]:
    was = {container.place: container.image for container in containers(before)}
    all_ours: set[str] = set()
    for one in wanted:
        keys, ask = one.keys, one.ask
        if keys.pinned and not ask.digest:
            text = f"{keys.main}: the pinned digest is removed, since none is known for {ask.tag}."
            yield Finding("warning", Check.DIGEST_DROPPED, text)
        ours = {split_image(container.image).repository for container in keys.containers}
        if len(ours) > 1:
            text = f"{keys.main} decides the tag of several images: {', '.join(sorted(ours))}."
            yield Finding("info", Check.SEVERAL_IMAGES, text)
        all_ours |= ours
    for container in containers(after):
        image = split_image(container.image)
        stays = was.get(container.place) == container.image
        if stays and image.repository in all_ours and not _is_asked(image, wanted):
            text = f"{container} stays at {container.image}."
            yield Finding("warning", Check.IMAGE_LEFT_BEHIND, text)


def _is_asked_image(change: Change, shifts: Shifts, wanted: Sequence[Wanted]) -> bool:
    """Whether an image becomes what was asked for, or one with the asked tag in its own."""
    old, new = split_image(str(change.before)), split_image(str(change.after))
    if old.repository != new.repository:
        return False
    known = {split_image(container.image) for _, container in _of_each(wanted)}
    if old in known and _is_asked(new, wanted):
        return True
    pairs = [pair for pair in shifts.tags if old.tag and new.tag]
    return any(shifted(old.tag or "", *pair) == new.tag for pair in pairs)


def _is_asked(image: Image, wanted: Sequence[Wanted]) -> bool:
    """Whether an image is what some container is to run then."""
    return any(_is(image, asked) for one in wanted for asked in one.images())


def _is(image: Image, asked: Image) -> bool:
    """Whether the tag and the digest are as asked; beside a digest the tag may be left out."""
    if asked.digest:
        return image.digest == asked.digest and image.tag in {asked.tag, None}
    return image.tag == asked.tag and image.digest is None
