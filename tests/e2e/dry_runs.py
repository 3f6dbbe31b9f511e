"""What the whole chain of admission makes of an object; nothing is stored."""

import json


def ask(scene, verb, obj):
    """The object as it would be stored, or the API server's refusal as text."""
    out = scene.kubectl(
        verb, "--dry-run=server", "-ojson", "-f", "-", stdin=json.dumps(obj), check=False
    )
    try:
        return json.loads(out)
    except ValueError:
        return out
