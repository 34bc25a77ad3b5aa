"""The studio: a page where people see their photo painted, by the browser or by this machine's engine."""

from stylenorm.studio.server import STUDIO_PORT, Studio
from stylenorm.studio.site import SiteFile, export_site, site_files

__all__ = ["STUDIO_PORT", "SiteFile", "Studio", "export_site", "site_files"]
