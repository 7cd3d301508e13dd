"""Argo CD Application to chart and values, helm's rendering, and the proof of an edit."""

from plate_release.charts.change import ChartChange, changed, proven
from plate_release.charts.checks import review, validate
from plate_release.charts.discover import Discovery, Manifest, applications, find
from plate_release.charts.gather import chart_inputs, files_of
from plate_release.charts.helm import Helm, find_helm
from plate_release.charts.immutable import immutable
from plate_release.charts.inputs import UNKNOWN, Capabilities
from plate_release.charts.key import ImageKeys, Wanted, image_keys, written
from plate_release.charts.objects import KubernetesObject, Objects, Rendered, objects_of
from plate_release.charts.render import OpenChart, open_charts
from plate_release.charts.search import Sought
from plate_release.charts.sharing import may_read
from plate_release.charts.sources import repositories, require_branch
from plate_release.charts.unknown import unknown_service
from plate_release.charts.workloads import containers, retagged, split_image, tag_of

__all__ = [
    "UNKNOWN",
    "Capabilities",
    "ChartChange",
    "Discovery",
    "Helm",
    "ImageKeys",
    "KubernetesObject",
    "Manifest",
    "Objects",
    "OpenChart",
    "Rendered",
    "Sought",
    "Wanted",
    "applications",
    "changed",
    "chart_inputs",
    "containers",
    "files_of",
    "find",
    "find_helm",
    "image_keys",
    "immutable",
    "may_read",
    "objects_of",
    "open_charts",
    "proven",
    "repositories",
    "require_branch",
    "retagged",
    "review",
    "split_image",
    "tag_of",
    "unknown_service",
    "validate",
    "written",
]
