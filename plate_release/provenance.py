"""Whether a release's image is there, fits the nodes, and is what runs in the end."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from plate_release.argocd.failures import CallFailed
from plate_release.argocd.status import Node, ResourceTree
from plate_release.charts import ImageKeys
from plate_release.cluster import ObjectRef
from plate_release.cluster.workloads import running
from plate_release.desk import Desk
from plate_release.errors import ClusterUnavailable, PlanRefused, TagRefused
from plate_release.images.reference import is_repository
from plate_release.images.registry import ImageMissing, NotAdmitted, RegistryUnavailable
from plate_release.model import Ask, Check, Finding, FoundImage, Image
from plate_release.plan import RegistryAnswer, ServicePlan
from plate_release.targets import app_ref

_ALIASES = {"aarch64": "arm64", "x86_64": "amd64"}  # as the kernel says it
# So many pods of a service are asked for what they run.
_MOST_PODS = 5


class WrongPlatform(TagRefused):
    """The image does not run on the nodes."""

    code = Check.IMAGE_PLATFORM


def ask_registry(desk: Desk, images: Iterable[Image]) -> RegistryAnswer:
    """Ask for images, as the image check has it: require, warn, or off.

    Raises TagRefused where one is missing or does not run on the platforms of the configuration,
    PlanRefused where that cannot be known and must be, or where the chart asks for what is none.
    """
    if desk.options.image_check == "off":
        return RegistryAnswer()
    answers = [_answer(desk, image) for image in dict.fromkeys(images)]
    found = {name: image for one in answers for name, image in one.found.items()}
    return RegistryAnswer(found, tuple(chain(*(one.findings for one in answers))))


def offered_digest(desk: Desk, keys: ImageKeys, ask: Ask) -> str | None:
    """Return the digest that a tag has now, None where that cannot or shall not be asked."""
    if desk.options.image_check == "off" or not is_repository(keys.repository):
        return None
    try:
        return desk.registry.find(Image(keys.repository, ask.tag)).digest
    except (RegistryUnavailable, TagRefused):
        return None


def _answer(desk: Desk, image: Image) -> RegistryAnswer:
    if "://" in image.repository:
        # Of a custom resource, which calls something else its image.
        text = f"{image} is an address, and no image's name: it was not checked."
        return RegistryAnswer(findings=(Finding("warning", Check.IMAGE_UNCHECKED, text),))
    if not is_repository(image.repository):
        raise PlanRefused(
            f"The chart asks for the image {image}, which is none.",
            why=f"{image.repository!r} is no image's name.",
            todo="Correct the repository in the values, or pass --image-check off.",
        )
    try:
        found = desk.registry.find(image)
        moved = tuple(_moved(desk, image)) if image.digest else ()
    except RegistryUnavailable as error:
        return _unknown(desk, image, error)
    if missing := [one for one in desk.config.platforms if not runs_on(found, one)]:
        raise _wrong(image, found, missing)
    made = f", made {found.created}" if found.created else ""
    on = f" for {', '.join(found.platforms)}" if found.platforms else ""
    told = Finding("info", Check.IMAGE, f"{image} is {found.digest}{on}{made}")
    return RegistryAnswer({str(image): found}, (told, *moved))


def _unknown(desk: Desk, image: Image, error: RegistryUnavailable) -> RegistryAnswer:
    if desk.options.image_check == "require":
        login = "Set REGISTRY, REGISTRY_USERNAME and REGISTRY_PASSWORD, or use docker login"
        raise PlanRefused(
            f"It cannot be checked that {image} exists.",
            why=str(error),
            todo=f"{login if isinstance(error, NotAdmitted) else 'Try again'},"
            " or pass --image-check warn.",
        ) from error
    text = f"It could not be checked that {image} exists: {error}"
    return RegistryAnswer(findings=(Finding("warning", Check.IMAGE_UNCHECKED, text),))


def _moved(desk: Desk, image: Image) -> Iterator[Finding]:
    """Warn where the tag beside a digest means another image: the tag is then only decoration."""
    try:
        tagged = desk.registry.find(Image(image.repository, image.tag)).digest
    except ImageMissing:
        tagged = "not there"
    except TagRefused:
        tagged = "no container image"
    if tagged != image.digest:
        text = f"{image.repository}:{image.tag} is {tagged}, and {image.digest} will run."
        yield Finding("warning", Check.TAG_DIGEST, text)


def must_run_on(desk: Desk, service: ServicePlan, tree: ResourceTree | None) -> None:
    """Compare the image with the nodes that run the Application now, as Argo CD knows them.

    Raises WrongPlatform where it runs on none of them; says so where it runs on some.
    """
    nodes = {host.system_info.platform for host in tree.hosts} - {""} if tree else set()
    for image, found in service.found.items() if not desk.config.platforms else ():
        unfit = sorted(node for node in nodes if not runs_on(found, node))
        if unfit and set(unfit) == nodes:
            raise _wrong(image, found, unfit)
        if unfit:
            text = f"{image} does not run on {', '.join(unfit)}, as some nodes are."
            desk.reviewed([Finding("warning", Check.IMAGE_PLATFORM, text)])


def runs_on(found: FoundImage, wanted: str) -> bool:
    """Whether an image has what a platform runs; true where its own are not known. Pure."""
    return not found.platforms or any(_runs(one, wanted) for one in found.platforms)


def _runs(image: str, node: str) -> bool:
    (system, variant), (wanted, known) = _split(image), _split(node)
    if system != wanted or not variant or not known:
        return system == wanted
    # An ARMv7 runs what is made for an ARMv6.
    return variant == known or (system == "linux/arm" and variant < known)


def _split(platform: str) -> tuple[str, str]:
    """Return `linux/arm` and `v7`, the variant empty where none is said."""
    system, architecture, variant = (*platform.split("/"), "", "")[:3]
    return f"{system}/{_ALIASES.get(architecture, architecture)}", variant


def _wrong(image: Image | str, found: FoundImage, missing: Collection[str]) -> WrongPlatform:
    return WrongPlatform(
        f"{image} does not run on {', '.join(missing)}.",
        why=f"The registry has it for {', '.join(found.platforms)}.",
        todo="Build and push it for the nodes' platforms.",
    )


def compare_running(desk: Desk, services: Iterable[ServicePlan]) -> None:
    """Warn where what runs is not the image that the registry had when this was planned."""
    for service in services:
        if service.found:
            found = strangers(service.found, _running(desk, service))
            desk.journal.find(*desk.config.levelled(found))


def strangers(
    found: Mapping[str, FoundImage], running: Iterable[tuple[str, str, str]]
) -> Iterator[Finding]:
    """Name the pods that run an image by another digest than was found. Pure."""
    for pod, image, digest in running:
        if image in found and digest not in found[image].digests:
            text = (
                f"{pod} runs {digest}, and {image} was {found[image].digest} when this was planned:"
                " the tag was moved, or the node had an older image of that name."
            )
            yield Finding("warning", Check.IMAGE_DIGEST, text)


def _running(desk: Desk, service: ServicePlan) -> Iterator[tuple[str, str, str]]:
    """Give what each pod runs of the service, image and digest, where it can be seen."""
    try:
        yield from _from_cluster(desk, service) or _from_argocd(desk, service)
    except (ClusterUnavailable, CallFailed, ValueError):
        return  # the release is live all the same


def _from_cluster(desk: Desk, service: ServicePlan) -> list[tuple[str, str, str]]:
    cluster = desk.world.cluster()
    if cluster is None:
        return []
    refs = (ObjectRef.of(one.body, service.target.namespace) for one in service.objects)
    return [
        (pod.name, image, digest)
        for pod in cluster.status(refs).pods
        for image, digest in pod.running
        if digest
    ]


def _from_argocd(desk: Desk, service: ServicePlan) -> list[tuple[str, str, str]]:
    ref = app_ref(desk, service.target)
    nodes = [node for node in desk.argocd.resource_tree(ref).nodes if _is_pod(node, service)]
    return [
        (node.name, image, digest)
        for node in nodes[:_MOST_PODS]
        for image, digest in running(json.loads(desk.argocd.manifest(ref, node)))
        if digest
    ]


def _is_pod(node: Node, service: ServicePlan) -> bool:
    return node.kind == "Pod" and not set(service.images).isdisjoint(node.images)
