"""A line of the log is one event, whatever users wrote into the names that it quotes."""

import json
import logging

import pytest

from lws_placement import log as logs


@pytest.fixture
def logged(capsys):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level

    def log(format, message="skipped", *, error=None, **fields):
        logs.set_up(level="INFO", format=format)
        logging.getLogger("x").info(message, extra=fields, exc_info=error)
        return capsys.readouterr().err

    yield log
    root.handlers[:] = before
    root.setLevel(level)


FORGED = "x\n12:00:00 INFO x: leading\r\x1b[2J\u2028"


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_field_starts_no_line_and_moves_no_cursor(logged, format):
    out = logged(format, pod=FORGED)
    assert out.count("\n") == 1
    assert len(out.splitlines()) == 1
    assert out.rstrip("\n").isprintable()
    assert "leading" in out


def test_lines_of_a_traceback_start_no_event(logged):
    try:
        raise ValueError(FORGED)
    except ValueError as e:
        first, *rest = logged("text", error=e).splitlines()
    assert "skipped" in first
    assert rest
    assert all(line.startswith("    ") for line in rest)


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_long_field_is_cut_and_its_length_said(logged, format):
    out = logged(format, owner="y" * 900_000, why=["z" * 900_000])
    assert len(out) < 5000
    assert "900000 characters" in out


def test_numbers_stay_numbers_for_machines(logged):
    assert json.loads(logged("json", port=8080, late_s=0.5))["port"] == 8080
