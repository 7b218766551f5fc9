"""What the API of alerts documents of itself."""

from __future__ import annotations

from typing import cast

import pytest
from fastapi import FastAPI

from services.alerts import api
from services.platform.problems import MEDIA_TYPE, Problem


@pytest.mark.parametrize(("path", "method", "status"), [("", "get", "422"), ("/{alert_id}/resolve", "post", "409")])
def test_refusals_are_documented_as_problems(path: str, method: str, status: str) -> None:
    """A refusal is documented with the problem's own members, faults included, and no reference that leads nowhere."""
    app = FastAPI()
    app.include_router(api.routes(cast("api.Desk", None)))  # the document needs no database
    answer = app.openapi()["paths"][f"/v1/alerts{path}"][method]["responses"][status]
    schema = answer["content"][MEDIA_TYPE]["schema"]
    assert set(schema["properties"]) == set(Problem.model_fields)
    assert "pointer" in schema["properties"]["errors"]["items"]["properties"]
    assert "$ref" not in str(schema)
