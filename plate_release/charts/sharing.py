"""Which other Applications read the file that a release edits. Pure."""

from collections.abc import Iterator

from plate_release.application import Source, same_repository
from plate_release.charts.discover import Discovery, Manifest
from plate_release.charts.valuefiles import inside
from plate_release.errors import PlanRefused
from plate_release.model import Finding


def shared_with(discovery: Discovery, manifest: Manifest, file: str) -> tuple[Finding, ...]:
    """Warn of every other Application in git that will change with `file`.

    What a glob or a file parameter reads is not seen.
    """
    urls = [source.repo_url for source in manifest.application.spec.all_sources]
    readers = [
        other.name
        for other in discovery.manifests
        if other.name != manifest.name and file in set(_files(other, urls))
    ]
    if not readers:
        return ()
    text = f"{file} is read by {', '.join(readers)} too: they change with {manifest.name}."
    return (Finding("warning", "shared-values", text),)


def _files(manifest: Manifest, urls: list[str]) -> Iterator[str]:
    """Give the values files that an Application reads in the repositories named."""
    found = manifest.application.spec.all_sources
    refs = {source.ref: source for source in found if source.ref}
    for source in found:
        if _is_in(source, urls) and source.path:
            yield from _resolved(source.path, "values.yaml")
        for name in source.helm.value_files if source.helm else ():
            ref, slash, rest = name.removeprefix("$").partition("/")
            if name.startswith("$") and ref in refs and _is_in(refs[ref], urls):
                yield from _resolved("", slash + rest)
            elif not name.startswith("$") and _is_in(source, urls):
                yield from _resolved(source.path, name)


def _is_in(source: Source, urls: list[str]) -> bool:
    return not source.is_remote and any(same_repository(source.repo_url, url) for url in urls)


def _resolved(folder: str, name: str) -> Iterator[str]:
    try:
        yield inside(folder, name)
    except PlanRefused:
        return  # its own plan would be refused
