"""Who is signed in: a signed cookie that holds surrogates only, and the token that proves a form is ours."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from services.alerts.web.records import Viewer

COOKIE = "attune_session"
LIFETIME = timedelta(hours=10)
"""A working day; a longer one signs in again."""


@dataclass(frozen=True, slots=True)
class Session:
    """One browser's visit. Without a `viewer` it only protects the sign-in form."""

    session_id: str
    viewer: Viewer | None
    expires_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class Signer:
    """Writes and reads sessions under one key."""

    key: bytes

    def begin(self, viewer: Viewer | None, now: datetime) -> Session:
        return Session(secrets.token_urlsafe(18), viewer, now + LIFETIME)

    def write(self, session: Session) -> str:
        body = base64.urlsafe_b64encode(json.dumps(_to_dict(session)).encode()).decode()
        return f"{body}.{self._seal('session', body)}"

    def read(self, cookie: str, now: datetime) -> Session | None:
        """The session, or `None` for a cookie that is not ours or has expired."""
        body, _, seal = cookie.partition(".")
        if not hmac.compare_digest(seal.encode(), self._seal("session", body).encode()):
            return None
        session = _from_dict(body)
        return session if session and session.expires_at > now else None

    def csrf(self, session: Session) -> str:
        return self._seal("csrf", session.session_id)

    def is_ours(self, session: Session, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.csrf(session).encode())

    def _seal(self, purpose: str, text: str) -> str:
        digest = hmac.new(self.key, f"{purpose}|{text}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def current(signer: Signer, request: Request, now: datetime) -> Session | None:
    cookie = request.cookies.get(COOKIE)
    return signer.read(cookie, now) if cookie else None


def remember(response: Response, signer: Signer, session: Session, *, secure: bool) -> None:
    response.set_cookie(
        COOKIE,
        signer.write(session),
        max_age=int(LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


def _to_dict(session: Session) -> dict[str, str | None]:
    viewer = session.viewer
    return {
        "id": session.session_id,
        "until": session.expires_at.isoformat(),
        "tenant": str(viewer.tenant_id) if viewer else None,
        "clinician": str(viewer.clinician_id) if viewer and viewer.clinician_id else None,
    }


def _from_dict(body: str) -> Session | None:
    """Read what `_to_dict` wrote; an older shape signs in again."""
    try:
        said = json.loads(base64.urlsafe_b64decode(body))
        viewer = Viewer(UUID(said["tenant"]), _optional(said["clinician"])) if said["tenant"] else None
        return Session(said["id"], viewer, datetime.fromisoformat(said["until"]))
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None


def _optional(text: str | None) -> UUID | None:
    return UUID(text) if text else None
