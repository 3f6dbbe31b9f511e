"""A StatefulSet controller and kubelets around the pure rule of rolling updates.

The StatefulSet controller is as free as it may be: it takes away any group that the partition gives
it, in any order and at any time. A test chooses who acts next. Or, `in_order`, it is the one of
Kubernetes 1.34 to 1.36: from the top, one after the other, each ready before the next.
"""

from dataclasses import dataclass, replace

from lws_placement.engine.lws.rollout import Asked, Progress, next_step


@dataclass
class Group:
    revision: int
    ready: bool = False
    has_room: bool = True


class RolloutWorld:
    """`room`: groups that find a domain at the same time; None: all."""

    def __init__(self, strategy, *, room=None, in_order=False):
        self.strategy = strategy
        self.in_order = in_order
        self.room = room
        self.template = 0
        self.asked = None
        self.given = 0
        self.current = 0
        self.groups = {}
        self.broken = []
        self.steps = []
        self.floor = 0
        self.settle()
        self.floor = strategy.least
        self.steps.clear()

    # -- what a user does ------------------------------------------------------------------------

    def configure(self, **changes):
        self.strategy = replace(self.strategy, **changes)
        self.floor = min(self.floor, self.strategy.least)

    def fail(self, choice):
        """Some ready group breaks by itself; from now on only what we decide is held against us."""
        ready = [g for _, g in sorted(self.groups.items()) if g.ready]
        if ready:
            ready[choice % len(ready)].ready = False
            self.floor = 0

    # -- who acts --------------------------------------------------------------------------------

    def control(self):
        """Our controller, once. True if it asked for something new."""
        changed = self.asked is not None and self.given != self.template
        seen = self.progress()
        step = next_step(self.strategy, self.asked, seen, changed=changed)
        if self.asked is not None:
            self._judge(seen, step, changed=changed)
        asked = Asked(step.partition, step.replicas, self.strategy.replicas, self.in_order)
        if asked == self.asked and not changed:
            return False
        if self.asked is None:
            self.current = self.template
        self.asked, self.given = asked, self.template
        self.steps.append((step.partition, step.replicas))
        return True

    def stateful_set(self, choice=0):
        """The StatefulSet controller does one of the things it may do; False if there is none."""
        possible = [
            *(("remove", i) for i in self.groups if i >= self.asked.replicas),
            *(("create", i) for i in range(self.asked.replicas) if i not in self.groups),
            *(("replace", i) for i in self._replaceable()),
        ]
        if not possible:
            self._complete()
            return False
        what, index = sorted(possible)[choice % len(possible)]
        old = self.groups.pop(index, None)
        if what != "remove":
            at = self.given if index >= self.asked.partition else self.current
            self.groups[index] = Group(at, has_room=old.has_room if old else False)
        self._give_room()
        self._look(f"{what} {index}")
        return True

    def _replaceable(self):
        found = []
        for index in reversed(range(self.asked.partition, self.asked.replicas)):
            group = self.groups.get(index)
            if group is not None and group.revision != self.given:
                found.append(index)
            if self.in_order and (found or group is None or not group.ready):
                break
        return found

    def kubelet(self, choice=0):
        """One group becomes ready; False if none can."""
        waiting = [g for _, g in sorted(self.groups.items()) if g.has_room and not g.ready]
        if waiting:
            waiting[choice % len(waiting)].ready = True
        return bool(waiting)

    def settle(self, most=2000):
        """Everybody acts in turn until nobody has anything left to do."""
        for _ in range(most):
            if not any([self.control(), self.stateful_set(), self.kubelet()]):
                return
        raise AssertionError(f"it does not end: {self.steps[-6:]}")

    # -- what is seen ----------------------------------------------------------------------------

    def progress(self):
        replicas = self.asked.replicas if self.asked else 0
        return [self._progress_of(self.groups.get(i)) for i in range(replicas)]

    def revisions(self):
        return [g.revision for _, g in sorted(self.groups.items())]

    def ready(self):
        return sum(g.ready for g in self.groups.values())

    def _progress_of(self, group):
        if group is None:
            return Progress()
        updated = group.revision == self.template
        return Progress(group.ready, updated, not updated, not group.has_room)

    # -- inside ----------------------------------------------------------------------------------

    def _complete(self):
        if all(g.revision == self.given and g.ready for g in self.groups.values()):
            self.current = self.given

    def _give_room(self):
        for _, group in sorted(self.groups.items()):
            taken = sum(g.has_room for g in self.groups.values())
            if not group.has_room and (self.room is None or taken < self.room):
                group.has_room = True

    def _judge(self, seen, step, *, changed):
        if step.replicas > max(self.strategy.most, self.strategy.replicas):
            self.broken.append(f"{step} asks for more than {self.strategy.most}")
        there = min(self.asked.replicas, self.strategy.most)
        if self.asked.replicas == self.asked.for_replicas:
            there = min(there, self.strategy.replicas)  # the rest is the user's to take away
        taken_from = self.asked.replicas if changed else self.asked.partition
        left = _left_in_order if self.in_order else _left
        before = left(seen[:there], taken_from)
        after = left(seen[: step.replicas], step.partition)
        grown = step.replicas > self.asked.replicas
        if not grown and after < min(self.strategy.least, before):
            self.broken.append(f"{step} leaves {after} ready of {before}, {self.strategy}")
        if not changed and step.partition > max(self.asked.partition, self.strategy.partition):
            self.broken.append(f"the partition rises from {self.asked.partition} in {step}")

    def _look(self, what):
        if self.ready() < self.floor:
            self.broken.append(f"{what}: {self.ready()} ready, {self.floor} promised")


def _left(seen, partition):
    """Ready groups that the StatefulSet controller may not take."""
    below, above = seen[:partition], seen[partition:]
    return sum(g.ready for g in below) + sum(g.ready and g.updated for g in above)


def _left_in_order(seen, partition):
    """The fewest that are ready meanwhile: replaced from the top, each ready before the next."""
    ready = [g.ready for g in seen]
    fewest = sum(ready)
    for index in reversed(range(partition, len(seen))):
        if not seen[index].updated:
            ready[index] = False
            fewest = min(fewest, sum(ready))
        ready[index] = True
    return fewest
