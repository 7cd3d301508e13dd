"""Which source of an Application follows our file, and so which of its revisions is ours."""

from plate_release.application import ApplicationSpec, Source, same_repository


def our_source(spec: ApplicationSpec, repository: str, branch: str, file: str) -> int | None:
    """Return the index of the source that `file` on `branch` of `repository` feeds.

    A source that another one quotes as `$ref/file` comes first, then one whose path holds the
    file, then the only one that follows the branch. None where no source does, or several could.
    """
    follows = [
        index
        for index, source in enumerate(spec.all_sources)
        if same_repository(source.repo_url, repository) and source.follows(branch)
    ]
    quoted = {name for source in spec.all_sources for name in _value_files(source)}
    for owns in (
        [i for i in follows if f"${spec.all_sources[i].ref}/{file}" in quoted],
        [i for i in follows if _holds(spec.all_sources[i], file)],
        follows,
    ):
        if owns:
            return owns[0] if len(owns) == 1 or owns is not follows else None
    return None


def _value_files(source: Source) -> tuple[str, ...]:
    return source.helm.value_files if source.helm else ()


def _holds(source: Source, file: str) -> bool:
    path = source.path.strip("/").removeprefix("./")
    return bool(path) and (path == "." or file.startswith(f"{path}/"))
