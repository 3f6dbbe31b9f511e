"""AdmissionReview of `admission.k8s.io/v1` only: Kubernetes 1.22 removed v1beta1."""

import base64
import json
from typing import Literal

from pydantic import Field

from lws_placement.engine.base.raw import Raw
from lws_placement.errors import InvalidObjectError
from lws_placement.http_server.wire import Wire, parse


class GroupVersionKind(Wire):
    group: str = ""
    version: str
    kind: str


class AdmissionRequest(Wire):
    uid: str
    kind: GroupVersionKind
    name: str = ""
    namespace: str = ""
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    object: Raw | None = None
    old_object: Raw | None = Field(default=None, alias="oldObject")
    dry_run: bool | None = Field(default=False, alias="dryRun")

    def the_object(self) -> Raw:
        """The object. Raises InvalidObjectError without one, or without metadata or spec."""
        if self.object is None:
            raise InvalidObjectError("request.object is missing")
        for field in ("metadata", "spec"):
            if not isinstance(self.object.get(field), dict):
                raise InvalidObjectError(f"request.object.{field} is not an object")
        return self.object


class AdmissionReview(Wire):
    api_version: Literal["admission.k8s.io/v1"] = Field(alias="apiVersion")
    kind: Literal["AdmissionReview"]
    request: AdmissionRequest


def parse_review(body: bytes) -> AdmissionRequest:
    """Raises InvalidObjectError."""
    return parse(AdmissionReview, body, "an AdmissionReview v1").request


def allow(
    request: AdmissionRequest, *, patch: list[Raw] | None = None, warnings: list[str] | None = None
) -> Raw:
    """Raises ValueError for a patch with a number that JSON does not have, such as NaN."""
    response: Raw = {"uid": request.uid, "allowed": True}
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(json.dumps(patch, allow_nan=False).encode()).decode()
    if warnings:
        response["warnings"] = warnings
    return _review(response)


def deny(request: AdmissionRequest, message: str) -> Raw:
    status = {"code": 403, "reason": "Forbidden", "message": message}
    return _review({"uid": request.uid, "allowed": False, "status": status})


def _review(response: Raw) -> Raw:
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
