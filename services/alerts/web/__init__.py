"""The clinician's pages: server-rendered, on the alerts process's own port."""

from services.alerts.web.routes import build_pages

__all__ = ["build_pages"]
