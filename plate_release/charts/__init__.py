"""Argo CD Application to chart and values, helm's rendering, and the proof of an edit."""

from plate_release.charts.change import ChartChange, edited, proven
from plate_release.charts.checks import review, validate
from plate_release.charts.difference import Difference, ObjectDifference, compare
from plate_release.charts.discover import (
    Discovery,
    Generator,
    Manifest,
    applications,
    find,
    unknown_service,
)
from plate_release.charts.gather import chart_inputs, files_of
from plate_release.charts.helm import Helm, find_helm
from plate_release.charts.inputs import Capabilities, ChartInputs
from plate_release.charts.key import ImageKeys, changes, image_keys
from plate_release.charts.objects import KubernetesObject, Objects, Rendered, objects_of
from plate_release.charts.render import OpenChart, open_charts
from plate_release.charts.sharing import shared_with
from plate_release.charts.sources import repositories, require_branch
from plate_release.charts.workloads import Container, containers

__all__ = [
    "Capabilities",
    "ChartChange",
    "ChartInputs",
    "Container",
    "Difference",
    "Discovery",
    "Generator",
    "Helm",
    "ImageKeys",
    "KubernetesObject",
    "Manifest",
    "ObjectDifference",
    "Objects",
    "OpenChart",
    "Rendered",
    "applications",
    "changes",
    "chart_inputs",
    "compare",
    "containers",
    "edited",
    "files_of",
    "find",
    "find_helm",
    "image_keys",
    "objects_of",
    "open_charts",
    "proven",
    "repositories",
    "require_branch",
    "review",
    "shared_with",
    "unknown_service",
    "validate",
]
