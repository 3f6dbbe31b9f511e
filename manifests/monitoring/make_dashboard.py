"""Makes dashboard.json beside this file, for Grafana 10 or later: `make dashboard`."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_COLUMNS = 24
_WIDTH, _HEIGHT = 8, 8
_SOURCE = {"type": "prometheus", "uid": "${source}"}
_KEY = '{topology_key=~"$topology_key"}'


@dataclass(frozen=True)
class Panel:
    """`queries`: legend -> PromQL; a legend may name labels, as `{{reason}}`."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    stacked: bool = False


def _quantiles(metric: str) -> dict[str, str]:
    rate = f"sum by (le) (rate(lws_placement_{metric}_bucket[$__rate_interval]))"
    return {f"p{q}": f"histogram_quantile({q / 100}, {rate})" for q in (50, 90, 99)}


def _rates(metric: str, label: str) -> dict[str, str]:
    rate = f"rate(lws_placement_{metric}_total[$__rate_interval])"
    return {f"{{{{{label}}}}}": f"sum by ({label}) ({rate})"}


def _increases(metric: str, label: str) -> dict[str, str]:
    increase = f"increase(lws_placement_{metric}_total[$__interval])"
    return {f"{{{{{label}}}}}": f"sum by ({label}) ({increase})"}


ROWS = {
    "Groups": (
        Panel(
            "Groups that wait, by what they lack",
            {"{{reason}}": "sum by (reason) (lws_placement_waiting_groups)"},
            stacked=True,
        ),
        Panel("Wait until a domain is held", _quantiles("wait_seconds"), "s"),
        Panel("Pods admitted", _rates("admissions", "outcome"), "ops"),
    ),
    "Domains": (
        Panel(
            "Domains by state",
            {"{{state}}": f"sum by (state) (lws_placement_domains{_KEY})"},
            stacked=True,
        ),
        Panel(
            "Fragmentation: broken of all that nobody holds",
            {
                "{{topology_key}}": (
                    "sum by (topology_key) "
                    '(lws_placement_domains{topology_key=~"$topology_key", state="broken"}) '
                    "/ sum by (topology_key) "
                    '(lws_placement_domains{topology_key=~"$topology_key", state=~"broken|whole"})'
                )
            },
            "percentunit",
        ),
        Panel("Holds by state", {"{{state}}": "sum by (state) (lws_placement_holds)"}),
    ),
    "What happened": (
        Panel("Repairs", _increases("repairs", "kind"), stacked=True),
        Panel("Preemptions", _increases("preemptions", "victim"), stacked=True),
        Panel("Requests for new nodes", _increases("scale_ups", "outcome"), stacked=True),
        Panel("Binds", _rates("binds", "outcome"), "ops"),
        Panel("Foreign pods kept off held room", _rates("guard_refusals", "verb"), "ops"),
        Panel("New nodes: from request to hold", _quantiles("scale_up_seconds"), "s"),
    ),
    "Speed and health": (
        Panel("Deciding about one group", _quantiles("plan_seconds"), "s"),
        Panel("Answering one bind call", _quantiles("bind_seconds"), "s"),
        Panel(
            "Planners that lead: always 1", {"leaders": "sum(lws_placement_leader)"}, kind="stat"
        ),
        Panel(
            "Certificates are valid for",
            {
                "{{certificate}}": (
                    "min by (certificate) "
                    "(lws_placement_certificate_expiration_timestamp_seconds) - time()"
                )
            },
            "s",
            kind="stat",
        ),
        Panel(
            "Requests to the API server",
            {
                "{{method}} {{resource}}": (
                    "sum by (method, resource) "
                    "(rate(lws_placement_api_requests_total[$__rate_interval]))"
                )
            },
            "ops",
        ),
        Panel(
            "Errors, retries and watches started again",
            {
                **{f"error {k}": v for k, v in _rates("api_errors", "status").items()},
                **{f"retry {k}": v for k, v in _rates("retries", "part").items()},
                **{f"watch {k}": v for k, v in _rates("watch_reconnects", "reason").items()},
            },
            "ops",
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    return {
        "uid": "lws-placement",
        "title": "lws-placement",
        "tags": ["lws-placement"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source(), _topology_key()]},
        "panels": list(_panels()),
    }


def made() -> str:
    """The text of dashboard.json."""
    return json.dumps(dashboard(), indent=1) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Source", "type": "datasource", "query": "prometheus"}


def _topology_key() -> dict[str, Any]:
    query = "label_values(lws_placement_domains, topology_key)"
    return {
        "name": "topology_key",
        "label": "Topology key",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "keys"},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> Iterator[dict[str, Any]]:
    top, number = 0, 1
    for title, panels in ROWS.items():
        at = {"x": 0, "y": top, "w": _COLUMNS, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": at, "panels": []}
        top, number = top + 1, number + 1
        for index, panel in enumerate(panels):
            column, row = index % (_COLUMNS // _WIDTH), index // (_COLUMNS // _WIDTH)
            at = {"x": column * _WIDTH, "y": top + row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
            yield _panel(panel, number, at)
            number += 1
        top += _HEIGHT * -(-len(panels) // (_COLUMNS // _WIDTH))


def _panel(panel: Panel, number: int, at: dict[str, int]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + i), "datasource": _SOURCE, "expr": expr, "legendFormat": legend}
        for i, (legend, expr) in enumerate(panel.queries.items())
    ]
    stacking = {"custom": {"stacking": {"mode": "normal"}, "fillOpacity": 30}}
    defaults = {"unit": panel.unit, "min": 0, **(stacking if panel.stacked else {})}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": _SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": targets,
    }


if __name__ == "__main__":
    (FOLDER / "dashboard.json").write_text(made())
