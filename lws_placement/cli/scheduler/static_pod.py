"""`lws-placement scheduler-config --kubeadm...`: reads and writes kube-scheduler's static pod and
its patch. Needs no cluster.
"""

from collections.abc import Callable
from pathlib import Path

import click

from lws_placement.errors import SettingsError
from lws_placement.kube_scheduler.config import write_files
from lws_placement.kube_scheduler.kubeadm import as_patch, put_in, take_out
from lws_placement.kube_scheduler.yaml_lines import MOST_BYTES


def write_patch(folder: str, *, out: Path | None) -> None:
    """To a file, or to standard output."""
    _write(as_patch(folder), out)


def write_manifest(path: Path, folder: str, *, undo: bool, out: Path | None) -> None:
    """The static pod's manifest with the change in it, or without. Raises SettingsError."""
    text = _read(path)
    edit: Callable[[str], str] = take_out if undo else lambda text: put_in(text, folder)
    try:
        edited = edit(text)
    except SettingsError as e:
        raise SettingsError(f"{path}: {e}") from e
    if edited == text:
        state = "has nothing of ours in it" if undo else "has the change in it already"
        click.echo(f"{path} {state}; written as it is", err=True)
    _write(edited, out)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1).decode()
    except OSError as e:
        raise SettingsError(f"{path}: cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise SettingsError(f"{path}: is not a text in UTF-8") from e


def _write(text: str, out: Path | None) -> None:
    """kubelet never sees a part of it, nor the draft: it passes over names with a dot in front."""
    if out is None:
        click.echo(text, nl=False)
    else:
        write_files(out.parent, {out.name: text.encode()})
        click.echo(f"wrote {out}", err=True)
