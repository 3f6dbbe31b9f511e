"""An API server that has Secrets, and whatever else is created."""

from lws_placement.errors import ConflictError, NotFoundError


class Secrets:
    """Objects of one namespace by name, with compare-and-swap."""

    def __init__(self):
        self.by_name = {}
        self.version = 0
        self.writes_left = None
        """Writes after so many end in a conflict; None: never."""

    async def get(self, path):
        name = path.rsplit("/", 1)[1]
        if name not in self.by_name:
            raise NotFoundError("no", status=404)
        return self.by_name[name]

    async def create(self, path, body):
        if body["metadata"]["name"] in self.by_name:
            raise ConflictError("exists", status=409)
        return self._keep(body)

    async def replace(self, path, body):
        old = self.by_name[body["metadata"]["name"]]
        if body["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise ConflictError("changed", status=409)
        return self._keep(body)

    def _keep(self, body):
        if self.writes_left is not None:
            if self.writes_left == 0:
                raise ConflictError("changed", status=409)
            self.writes_left -= 1
        self.version += 1
        meta = body["metadata"] | {"resourceVersion": str(self.version)}
        self.by_name[meta["name"]] = body | {"metadata": meta}
        return self.by_name[meta["name"]]
