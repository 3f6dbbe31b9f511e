"""What is left of the packages in the image is enough to serve a real cluster."""

import pytest
from e2e.servers import start
from support import image_env


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return image_env.make(tmp_path_factory.mktemp("image"))


@pytest.mark.parametrize("name", ["gate-image", "brain-image"])
def test_the_program_of_the_image_becomes_ready_and_ends(installation, program, name):
    start(installation, name, program=("-I", "-S", str(program)))
    process = installation.servers[name]
    installation.stop_server(name)
    assert "Traceback" not in process.log.read_text()


def test_it_places_a_group(installation, scene, program):
    """All of it in one process, which leads as soon as the others have given the Lease back."""
    brains = ("brain-a", "brain-b")
    for name in brains:
        installation.stop_server(name)
    try:
        start(installation, "brain-image", program=("-I", "-S", str(program)))
        scene.pool(1)
        scene.create(scene.lws())
        scene.wait_bound(4)
    finally:
        installation.stop_server("brain-image")
        for name in brains:
            start(installation, name)
