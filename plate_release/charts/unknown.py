"""What to tell of a service that no Application in git ships. Pure."""

import difflib
import posixpath
from collections.abc import Collection, Sequence

from plate_release.charts.discover import Discovery, Manifest
from plate_release.charts.search import Sought
from plate_release.errors import UsageError, some_of

_SHOWN = 10
_ASK = "Set ARGOCD_SERVER and ARGOCD_AUTH_TOKEN, so that Argo CD can be asked."


def unknown_service(
    discovery: Discovery,
    sought: Sought,
    environment: str,
    override: str | None = None,
    elsewhere: Sequence[Manifest] = (),
    configured: Collection[str] = (),
) -> UsageError:
    """Say that nothing ships the service, what is near, and where it may hide.

    `override` is the Application's name where it is configured, `elsewhere` are the Applications
    in other folders of the repository, `configured` the services that the configuration names.
    """
    service, name = sought.service, override or f"{sought.service}-{environment}"
    known = sorted({*configured, *discovery.services(environment)})
    near = difflib.get_close_matches(service, known, n=1)
    folder = discovery.folder or "."
    why = [f"The Application {name} is in no file below {folder}/. Known: {_listed(known)}."]
    others = [one for one in (*discovery.manifests, *elsewhere) if _may_be(one, name, service)]
    why += some_of(
        [f"There is {one.name} ({one.file}, line {one.line})." for one in others], _SHOWN
    )
    if sets := [f"{g.name} ({g.file}, line {g.line})" for g in discovery.generators]:
        why.append(f"ApplicationSets may generate it, which only Argo CD knows: {_listed(sets)}.")
    why += some_of([finding.message for finding in discovery.findings], _SHOWN)
    is_hidden = sets or any(one.level == "info" for one in discovery.findings)
    if near:
        todo = f"Did you mean {near[0]}?"
    else:
        todo = _ASK if is_hidden and not others else _todo(discovery, sought, name, others)
    return UsageError(f"Unknown service {service}.", why="\n".join(why), todo=todo)


def _todo(discovery: Discovery, sought: Sought, name: str, others: Sequence[Manifest]) -> str:
    """Return what helps with the likeliest of the others, or where there is none."""
    if others:
        one = min(others, key=lambda other: (other.name != name, other not in discovery.manifests))
        settings = [] if one.name == name else [sought.setting("application", one.name)]
        if one not in discovery.manifests:
            folder = posixpath.dirname(one.file) or "."
            settings.insert(0, f"`applications: {folder}`")
        start, _, environment = one.name.rpartition("-")
        is_other = start == sought.service and one.name != name
        other = f", or pass --environment {environment}" if is_other else ""
        return f"Set {' and '.join(settings)} in {sought.config_file}{other}."
    if discovery.manifests:
        setting = sought.setting("application", "NAME")
        return f"Name a known service, or set {setting} in {sought.config_file}."
    return (
        f"Name the folder of your Applications as `applications: FOLDER` in {sought.config_file}."
    )


def _may_be(one: Manifest, name: str, service: str) -> bool:
    """Whether an Application may be the service under another name, or in another folder."""
    return one.name == name or f"-{service}-" in f"-{one.name}-"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(some_of(list(names), _SHOWN)) or "none"
