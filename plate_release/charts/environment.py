"""Argo CD's build environment: the variables that an Application may use in paths and values.

Source: argo-cd reposerver/repository/repository.go (newEnv), pkg/apis/application/v1alpha1
(Env.Envsubst). What is no variable becomes empty, `$$` a dollar sign.
"""

import re
from collections.abc import Mapping

from plate_release.application import Source
from plate_release.charts.discover import Manifest
from plate_release.model import Tree

_VARIABLE = re.compile(r"\$(\$|\w+|\{\w+\})")


def variables_of(manifest: Manifest, source: Source, tree: Tree) -> dict[str, str]:
    """Return the build environment, with the planned commit as the revision."""
    return {
        "ARGOCD_APP_NAME": manifest.name,
        "ARGOCD_APP_NAMESPACE": manifest.application.spec.destination.namespace,
        "ARGOCD_APP_PROJECT_NAME": manifest.application.spec.project,
        "ARGOCD_APP_REVISION": tree.commit,
        "ARGOCD_APP_REVISION_SHORT": tree.commit[:7],
        "ARGOCD_APP_REVISION_SHORT_8": tree.commit[:8],
        "ARGOCD_APP_SOURCE_PATH": source.path,
        "ARGOCD_APP_SOURCE_REPO_URL": source.repo_url,
        "ARGOCD_APP_SOURCE_TARGET_REVISION": source.target_revision,
    }


def substitute(text: str, variables: Mapping[str, str]) -> str:
    """Put in the variables' values."""

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] == "$" else variables.get(match[1].strip("{}"), "")

    return _VARIABLE.sub(value, text)


def substitute_path(name: str, variables: Mapping[str, str]) -> str:
    """Substitute in a path, but leave the `$ref` that it may start with."""
    if not name.startswith("$") or name.lstrip("$").partition("/")[0].strip("{}") in variables:
        return substitute(name, variables)
    head, slash, rest = name.partition("/")
    return head + slash + substitute(rest, variables)
