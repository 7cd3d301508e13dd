"""Server-side apply with dryRun=All: what the API server would store, or why it would not."""

import copy

from plate_release.sandbox.admission import FIELDS, missing_namespace, refusal
from plate_release.sandbox.compare import merged
from plate_release.sandbox.status import Status
from plate_release.sandbox.world import Object, Ref, World, group_of


def dry_run(world: World, ref: Ref, body: Object) -> tuple[int, Object]:
    """Return HTTP's status and the object; raise Status where it is refused."""
    missing = missing_namespace(world, ref)
    if missing:
        where = {"name": ref.namespace, "kind": "namespaces"}
        raise Status(missing.status, missing.reason, missing.message, where)
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise Status(
            500,
            "",
            f"failed to create typed patch object (/{ref.name}; "
            f"{body['apiVersion']}, Kind={ref.kind}): .{unknown[0]}: field not declared in schema",
            {},
        )
    obj = copy.deepcopy(body)
    if ref.namespace:
        obj["metadata"]["namespace"] = ref.namespace
    refused = refusal(world, obj)
    if refused:
        causes = [
            {"reason": "FieldValueInvalid", "message": c.message, "field": c.field}
            for c in refused.causes
        ]
        details: Object = {"name": ref.name}
        if group_of(obj):
            details["group"] = group_of(obj)
        raise Status(
            refused.status,
            refused.reason,
            refused.message,
            details | {"kind": ref.kind, "causes": causes},
        )
    live = world.get(ref)
    return (200 if live else 201), merged(obj, live)
