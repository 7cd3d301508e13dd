"""What, with a name, can hold a commit back although nothing is wrong with it."""

from plate_release.argocd.events import Code, WindowsSeen
from plate_release.argocd.view import View
from plate_release.argocd.wording import About, speaks_about

_BLOCKED_OPERATION = "blocked by sync window"


def held_back_by(view: View, windows: WindowsSeen | None) -> tuple[Code, str] | None:
    """Return what holds our commit back, for as long as this snapshot holds."""
    return (
        _going(view)
        or _other_source(view)
        or _invalid_spec(view)
        or _window(view, windows)
        or _by_hand(view)
    )


def may_sync(view: View, windows: WindowsSeen) -> bool:
    """Whether a sync that we ask for would go against no window."""
    by_itself = not view.application.spec.automated or windows.windows.can_auto_sync
    return windows.windows.can_sync and by_itself


def window_reason(windows: WindowsSeen | None) -> str:
    """Say which window it is, and when it opens."""
    if windows is None:
        return "a sync window forbids the sync"
    active = windows.windows.active_windows or windows.windows.assigned_windows
    named = ", ".join(f"{w.kind} {w.schedule!r} for {w.duration}" for w in active)
    opens = f"; it opens {windows.opens}" if windows.opens else ""
    return f"a sync window forbids the sync ({named}){opens}"


def _going(view: View) -> tuple[Code, str] | None:
    if view.application.metadata.deletion_timestamp:
        return Code.GONE, "the Application is being deleted"
    return None


def _other_source(view: View) -> tuple[Code, str] | None:
    if view.source is not None:
        return None
    subject = view.subject
    reason = f"no source of the Application follows {subject.file} on {subject.branch} any more"
    return Code.OTHER_SOURCE, reason


def _invalid_spec(view: View) -> tuple[Code, str] | None:
    for condition in view.errors:
        wrong = condition.type == "InvalidSpecError"
        if wrong and speaks_about(condition.message) is not About.BLIND:
            return Code.INVALID_SPEC, f"{condition.type}: {condition.message}"
    return None


def _window(view: View, windows: WindowsSeen | None) -> tuple[Code, str] | None:
    operation = view.operation
    caught = operation and view.busy and _BLOCKED_OPERATION in operation.message.lower()
    closed = _awaits_sync(view) and windows is not None and not may_sync(view, windows)
    return (Code.SYNC_WINDOW, window_reason(windows)) if caught or closed else None


def _by_hand(view: View) -> tuple[Code, str] | None:
    if _awaits_sync(view) and not view.application.spec.automated:
        return Code.AUTOSYNC_OFF, "automated sync is off, and nobody asked for the sync"
    return None


def _awaits_sync(view: View) -> bool:
    """Whether our commit was never synced: what was, and differs again, has drifted."""
    return view.idle_out_of_sync and not view.synced_by_operation
