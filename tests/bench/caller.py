"""kube-scheduler as a client, in a process of its own: one HTTP/2 connection for all calls."""

import asyncio
import multiprocessing
import ssl
import time

from .http2_client import connected

WINDOW = 4 * 2**20  # of Go's HTTP/2 client
APART = multiprocessing.get_context("spawn")


class Caller:
    """`bursts` of bodies: those of one are on their way at once, then those of the next."""

    def __init__(self, port, ca):
        self._pipe, there = APART.Pipe()
        self._process = APART.Process(target=_run, args=(port, ca, there), daemon=True)
        self._process.start()

    async def call(self, path, bursts):
        """Seconds from each call to its answer. Raises RuntimeError for an answer that is an
        error.
        """
        await asyncio.to_thread(self._pipe.send, (path, bursts))
        walls = await asyncio.to_thread(self._pipe.recv)
        if isinstance(walls, str):
            raise RuntimeError(f"{path}: {walls}")
        return walls

    def close(self):
        self._process.terminate()
        self._process.join()


def _run(port, ca, pipe):
    asyncio.run(_serve(port, ca, pipe))


async def _serve(port, ca, pipe):
    async with connected(port, ssl.create_default_context(cadata=ca), WINDOW) as client:
        while True:
            path, bursts = await asyncio.to_thread(pipe.recv)
            walls = []
            for bodies in bursts:
                found = await asyncio.gather(*(_timed(client, path, body) for body in bodies))
                walls += [seconds for seconds, _ in found]
                if wrong := [answer for _, answer in found if _is_error(answer)]:
                    walls = wrong[0][:300]
                    break
            pipe.send(walls)


async def _timed(client, path, body):
    started = time.perf_counter()
    status, answer = await client.answer(client.post(path, body))
    seconds = time.perf_counter() - started
    return seconds, answer if status == "200" else f'"Error":"{status}"'


def _is_error(answer):
    return '"Error":"' in answer and '"Error":""' not in answer
