"""The workers that hold the blocks: asked all at once, a round, and replaced where one is lost."""

import logging
import time

import cloudpickle
import numpy as np

from fastgd.dask.shard import Shard

logger = logging.getLogger("fastgd")

# A worker that takes so many times as long as the median one, so many rounds in a row, is told of.
STRAGGLES = 5.0
OFTEN = 3
# How often a round is tried again after a worker was lost.
MOST_LOSSES = 20
# Seconds between looks whether a worker that has not answered is still there.
LOOK = 0.5


class LostWorkersError(RuntimeError):
    """The workers that held the rows are gone, or gone too often."""


class Crew:
    """Actors, one on each worker that holds blocks.

    Parameters
    ----------
    client : distributed.Client
    groups : list of list of futures
        Each group's blocks as tuples (X, y, sample_weight, offset) or sources; kept, so that Dask
        makes them again where a worker is lost.
    """

    def __init__(self, client, groups):
        self.client, self.groups = client, groups
        self.actors: dict = {}
        self.key: int | None = None
        self.marks: tuple | None = None
        self.held: tuple | None = None
        self.problem: tuple = ()
        self.centers = None
        self.firsts: dict | None = None
        self.rounds = 0
        self.seconds = 0.0
        self.waited = 0.0
        self._slow: dict = {}
        self._homes = homes_of(client, groups)
        for address in sorted(set(self._homes.values())):
            self._hire(address)

    def survey(self):
        """What all groups know of their blocks, by number."""
        return self._merged(self._everywhere("survey"))

    def ask(self, method, *arguments):
        """The answers of all actors, merged by group: one round."""
        return self._merged(self._everywhere(method, *arguments))

    def place(self):
        """Tell which rows the blocks hold, and what is taken from columns."""
        self._everywhere("place", self.firsts, self.centers)

    def prepare(self, key, template, samples):
        """Make an objective known to those who hold its rows."""
        self.key, self.problem = key, (template, samples)
        for address, actor in list(self.actors.items()):
            self._prepare_one(address, actor)

    def run(self, key, work, arguments, arrays, added):
        """One round: what `work` gives for each group, by number, and the passes that it took."""
        begin = time.perf_counter()
        answers = self._everywhere("run", key, work, arguments, arrays, added)
        spent = {address: seconds for address, (*_, seconds) in answers.items()}
        self._notice(spent)
        self.rounds += 1
        self.seconds += time.perf_counter() - begin
        self.waited += max(spent.values())
        found = self._merged({address: groups for address, (groups, *_) in answers.items()})
        return found, sum(passes for _, passes, _ in answers.values())

    def _merged(self, answers):
        found: dict = {}
        for one in answers.values():
            found.update(one)
        return found

    def _everywhere(self, method, *arguments):
        """Answers by address; groups of a lost worker go to another, which is then asked too."""
        answers: dict = {}
        for _ in range(MOST_LOSSES):
            asked = {
                address: self._send(address, method, arguments)
                for address in self.actors
                if address not in answers
            }
            lost = []
            for address, future in asked.items():
                try:
                    answers[address] = self._result(address, future)
                except _Lost:
                    lost.append(address)
            if not lost:
                return answers
            for address in self._replace(lost):
                answers.pop(address, None)
        raise LostWorkersError(f"workers were lost {MOST_LOSSES} times in one round; given up")

    def _send(self, address, method, arguments):
        own = [self._own(address, one) for one in arguments]
        try:
            return getattr(self.actors[address], method)(*own)
        except Exception as error:
            if self._there(address):
                raise
            return error

    def _own(self, address, argument):
        """Of a list of arrays by group, those of this worker's groups."""
        if isinstance(argument, list) and argument and isinstance(argument[0], dict):
            mine = self._groups_at(address)
            return [{number: one[number] for number in mine} for one in argument]
        return argument

    def _result(self, address, future):
        if isinstance(future, Exception):
            raise _Lost from future
        while True:
            try:
                return future.result(timeout=LOOK)
            except TimeoutError:
                if not self._there(address):
                    raise _Lost from None
            except ValueError as error:
                if "lost" in str(error).lower() and not self._there(address):
                    raise _Lost from error
                raise
            except OSError as error:
                raise _Lost from error

    def _there(self, address):
        return address in self.client.scheduler_info(n_workers=-1)["workers"]

    def _replace(self, lost):
        """Give the groups of lost workers to others; addresses of the actors that are new."""
        left = sorted(set(self.client.scheduler_info(n_workers=-1)["workers"]) - set(lost))
        if not left:
            raise LostWorkersError(
                "all workers of the cluster are gone; the estimator is as it was: start workers "
                "and fit again"
            )
        logger.warning("lost %s; its blocks are made again elsewhere", ", ".join(lost))
        changed = []
        for address in lost:
            del self.actors[address]
        for number, home in self._homes.items():
            if home in lost:
                new = left[number % len(left)]
                self._homes[number] = new
                if new not in changed:
                    changed.append(new)
        for address in changed:
            self._hire(address)
            if self.firsts is not None:
                actor = self.actors[address]
                self._wait(address, actor.survey())
                self._wait(address, actor.place(self.firsts, self.centers))
                if self.problem:
                    self._prepare_one(address, actor)
        return changed

    def _wait(self, address, future):
        return self._result(address, future)

    def _hire(self, address):
        """An actor for the groups of a worker."""
        mine = self._groups_at(address)
        future = self.client.submit(
            Shard,
            mine,
            [self.groups[number] for number in mine],
            actor=True,
            workers=[address],
            allow_other_workers=False,
            pure=False,
        )
        self.actors[address] = future.result()

    def _groups_at(self, address):
        return sorted(number for number, home in self._homes.items() if home == address)

    def _prepare_one(self, address, actor):
        template, samples = self.problem
        own = {number: samples[number] for number in self._groups_at(address)}
        problem = cloudpickle.dumps((template, own))
        self._wait(address, actor.prepare(self.key, problem))

    def _notice(self, spent):
        """Tell of a worker that is slow again and again."""
        usual = float(np.median(list(spent.values())))
        for address, seconds in spent.items():
            slow = len(spent) > 1 and seconds > STRAGGLES * max(usual, 1e-2)
            self._slow[address] = self._slow.get(address, 0) + 1 if slow else 0
            if self._slow[address] == OFTEN:
                logger.warning(
                    "worker %s took %.2f s for its blocks, the median worker %.2f s",
                    address,
                    seconds,
                    usual,
                )


class _Lost(Exception):
    """A worker that was asked is gone."""


def homes_of(client, groups):
    """The worker that each group is to live on: where most of its blocks are."""
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    where = client.who_has([block for blocks in groups for block in blocks])
    homes = {}
    for number, blocks in enumerate(groups):
        counts: dict = {}
        for block in blocks:
            for address in where.get(block.key, ()):
                counts[address] = counts.get(address, 0) + 1
        best = max(counts.values(), default=0)
        at = sorted(address for address, count in counts.items() if count == best)
        homes[number] = at[0] if at else workers[number % len(workers)]
    return homes
