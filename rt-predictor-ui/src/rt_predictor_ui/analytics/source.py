"""Where figures come from: Prometheus if a site has one and it answers, else the service."""

from __future__ import annotations

import streamlit as st

from rt_predictor_client import load_config
from rt_predictor_formats.errors import Problem
from rt_predictor_ui.analytics import prometheus
from rt_predictor_ui.analytics.fetch import NotTold
from rt_predictor_ui.analytics.figures import Look
from rt_predictor_ui.analytics.scraped import Scraper
from rt_predictor_ui.settings import load_settings


def look() -> tuple[Look | None, list[Problem]]:
    """Return what is told now, and why a source told nothing; raises Problem CONFIG_INVALID."""
    settings, config = load_settings(), load_config()
    problems: list[Problem] = []
    if settings.prometheus_url:
        try:
            return prometheus.look(settings.prometheus_url, settings.prometheus_job), problems
        except NotTold as problem:
            problems.append(problem)
    try:
        return _scraper(settings.metrics_address(config), config.security.ca_file).look(), problems
    except NotTold as problem:
        return None, [*problems, problem]


@st.cache_resource(show_spinner=False)
def _scraper(url: str, ca_file: str | None) -> Scraper:
    """Return what reads the metrics for all pages: each page for itself would load the service."""
    return Scraper(url, ca_file)
