"""One question to Argo CD or git, run wherever it may wait."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from plate_release.argocd.client import AppRef, ArgoCD
from plate_release.argocd.events import Want, WhatIs, WindowsSeen
from plate_release.argocd.failures import CallFailed, NotFound
from plate_release.argocd.sight import Errand, Look, Watched
from plate_release.argocd.status import LiveApplication
from plate_release.argocd.windows import opens

T = TypeVar("T")


def run(
    argocd: ArgoCD, watched: Watched[object], app: AppRef, errand: Errand, wall: float
) -> object:
    """Return the answer to `errand`, or the failure; wall: seconds since the epoch."""
    if isinstance(errand, WhatIs):
        return watched.what_is(errand.sha)
    calls: dict[Want | Look, Callable[[], object]] = {
        Look.GET: partial(_get_wherever, argocd, app),
        Want.REFRESH: partial(argocd.refresh, app),
        Want.HARD_REFRESH: partial(argocd.refresh, app, hard=True),
        Want.SYNC: partial(argocd.sync, app),
        Want.TREE: partial(argocd.resource_tree, app),
        Want.WINDOWS: partial(_windows, argocd, app, wall),
        Want.TERMINATE: partial(argocd.terminate_operation, app),
    }
    return tried(calls[errand])


def tried(call: Callable[[], T]) -> T | CallFailed:
    """Return the answer of `call`, or the failure that it raises."""
    try:
        return call()
    except CallFailed as error:
        return error


def _windows(argocd: ArgoCD, app: AppRef, wall: float) -> WindowsSeen:
    windows = argocd.sync_windows(app)
    return WindowsSeen(windows, opens(windows, wall))


def _get_wherever(argocd: ArgoCD, app: AppRef) -> LiveApplication:
    """Get it, also where it was moved to another project."""
    try:
        return argocd.get(app)
    except NotFound:
        if app.project:
            with suppress(CallFailed):
                return argocd.get(replace(app, project=""))
        raise
