"""Argo CD's build environment: the variables that an Application may use in paths and values.

Source: argo-cd reposerver/repository/repository.go (newEnv), pkg/apis/application/v1alpha1
(Env.Envsubst); Go's os.Expand. What is no variable becomes empty, `$$` a dollar sign.
"""

import re
from collections.abc import Mapping

from plate_release.application import Source
from plate_release.charts.discover import Manifest
from plate_release.model import Tree

_VARIABLE = re.compile(
    r"\$(?:\{(?P<braced>[^}]+)\}|(?P<broken>\{\}?)|(?P<sign>[*#$@!?0-9-])|(?P<name>[A-Za-z_]\w*))?",
    re.ASCII,
)


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
    """Put in the variables' values, as Go's os.Expand does."""

    def value(match: re.Match[str]) -> str:
        name = match["name"] or match["braced"] or match["sign"]
        if name is None:
            # `${}` and `${` are eaten, a `$` before anything else stays.
            return "" if match["broken"] else "$"
        return "$" if name == "$" else variables.get(name, "")

    return _VARIABLE.sub(value, text)
