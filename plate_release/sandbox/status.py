"""Kubernetes' Status: how the cluster's API says no."""

from plate_release.sandbox.world import Object


class Status(Exception):
    """A refusal of the cluster's API."""

    def __init__(self, code: int, reason: str, message: str, details: Object) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.details = code, reason, message, details

    def wire(self) -> Object:
        """Return it as Kubernetes writes it."""
        out: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            out["reason"] = self.reason
        if self.details:
            out["details"] = self.details
        return out | {"code": self.code}


def _details(name: str, group: str, kind: str) -> Object:
    named = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in named.items() if value}


def _resource(group: str, plural: str) -> str:
    return f"{plural}.{group}" if group else plural


def not_found(group: str, plural: str, name: str) -> Status:
    """Say that there is no such object."""
    message = f'{_resource(group, plural)} "{name}" not found'
    return Status(404, "NotFound", message, _details(name, group, plural))


def already_exists(group: str, plural: str, name: str) -> Status:
    """Say that there is one already."""
    message = f'{_resource(group, plural)} "{name}" already exists'
    return Status(409, "AlreadyExists", message, _details(name, group, plural))


def forbidden(user: str, verb: str, group: str, plural: str, namespace: str, name: str) -> Status:
    """Say that the user may not do that."""
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    named = f' "{name}"' if name else ""
    message = (
        f'{_resource(group, plural)}{named} is forbidden: User "{user}" cannot {verb} '
        f'resource "{plural}" in API group "{group}" {where}'
    )
    return Status(403, "Forbidden", message, _details(name, group, plural))


def expired(asked: int, oldest: int) -> Status:
    """Say that a watch starts too far back."""
    return Status(410, "Expired", f"too old resource version: {asked} ({oldest})", {})
