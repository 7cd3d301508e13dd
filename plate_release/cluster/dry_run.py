"""What an API server's answers to a dry run mean. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from plate_release.cluster.objects import ObjectRef
from plate_release.cluster.server import Answer


def under_a_new_name(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest for a create that can meet no object of its name."""
    metadata = dict(manifest.get("metadata") or {})
    prefix = metadata.pop("name", None) or metadata.get("generateName") or "dry-run"
    return {**manifest, "metadata": metadata | {"generateName": f"{prefix}-"}}


def refuses_the_object(answer: Answer) -> bool:
    """Whether the object itself is at fault, not the cluster's state or our permissions.

    A field that the schema does not know is answered with 500 and no reason (as etcd's failures
    are), so that only its text tells; an admission policy answers 422.
    """
    if answer.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return not answer.reason and answer.message.startswith("failed to create typed ")
    return answer.status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)


def words(ref: ObjectRef, answer: Answer) -> str:
    """Return one line on a refused object: the API server's words, but for a Secret's values."""
    if ref.kind != "Secret":
        return f"{ref}: {answer.message}"
    fields = [str(cause.get("field", "")) for cause in answer.details.get("causes") or ()]
    return f"{ref}: {answer.reason or 'refused'} {', '.join(filter(None, fields))}".rstrip()
