"""community.yaml and the members' folders → checked settings; all mistakes in one message, with file and line."""

from __future__ import annotations

from gateway.config.community import Survey, load, sample, starter, survey
from gateway.config.template import template

__all__ = ["Survey", "load", "sample", "starter", "survey", "template"]
