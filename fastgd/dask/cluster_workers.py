"""The workers that hold the blocks: asked all at once, a round, and replaced where one is lost."""

import itertools
import logging
import time
from concurrent.futures import CancelledError

import numpy as np

from fastgd.dask.shard import Shard
from fastgd.dask.tree import folded
from fastgd.runtime.clock import clock

logger = logging.getLogger("fastgd")

# A worker that takes so many times as long as the median one, so many rounds in a row, is told of.
STRAGGLES = 5.0
OFTEN = 3
# Seconds of work below which nobody is called slow.
QUICK = 1e-2
# What distributed says, in an OSError, of an actor whose worker does not answer; other OSErrors are
# those of blocks, such as of a file that is missing.
UNREACHED = "Unable to contact Actor's worker"
# How often a round is tried again after a worker was lost.
MAX_LOSSES = 20
# Seconds between looks whether a worker that has not answered is still there.
LOOK = 0.5
# Seconds that a cluster without workers is given to start one.
PATIENCE = 20.0


class LostWorkersError(RuntimeError):
    """The workers that held the rows are gone, or gone too often."""


class ClusterWorkers:
    """Actors, one on each worker that holds blocks.

    Parameters
    ----------
    client : distributed.Client
    groups : list of list of futures
        Each group's blocks as tuples (X, y, sample_weight, offset), computed; kept, so that Dask
        makes them again where a worker is lost.

    Attributes
    ----------
    rounds : int
        Passes over the rows so far, in each of which every worker was asked once.
    key : int or None
        Of the objective that the workers know.
    seconds, computing : float
        That they took, and that the slowest worker of each computed.
    """

    def __init__(self, client, groups):
        self.client, self.groups = client, groups
        self.firsts = [0, *itertools.accumulate(map(len, groups))]
        self.actors: dict = {}
        self._hired: dict = {}
        self.key: int | None = None
        self.rounds = 0
        self.seconds = 0.0
        self.computing = 0.0
        # What a worker that takes over is told: the encoding, once there is one, and the objective.
        self._loaded: tuple = ()
        self._problem: tuple = ()
        self._slow: dict = {}
        self._homes = homes_of(client, groups)
        self._replace(self._hire(set(self._homes.values())))

    def columns(self):
        """What frames and sources tell of their columns, by group."""
        return _merged(self._everywhere("columns"))

    def survey(self, encoding):
        """What is known of the blocks, by group."""
        self._loaded = (encoding,)
        return _merged(self._everywhere("survey", encoding))

    def take(self, centers, chosen):
        """Rows of the blocks of each group, which are given by their numbers in each."""
        return _merged(self._everywhere("take", centers, chosen))

    def prepare(self, key, template, centers, samples):
        """Make an objective known to those who hold its rows."""
        self.key, self._problem = key, (key, template, centers, samples)
        self._replace(self._prepared(list(self.actors)))

    def run(self, key, work, arguments, arrays):
        """What `work` gives for the blocks of each group, and the passes that it took: a round."""
        answers = self._round(key, work, arguments, 0, arrays)
        return _merged({address: one[0] for address, one in answers.items()}), _passes(answers)

    def sum_over_parts(self, key, work, arguments, arrays):
        """The sum of it over all blocks, and the passes that it took: a round."""
        count = len(self.groups)
        answers = self._round(key, work, arguments, count, arrays)
        found = folded(_merged({address: one[0] for address, one in answers.items()}), count)
        return found[0, count], _passes(answers)

    def close(self):
        """Let the workers go, and what they hold.

        Not when garbage is collected: an actor and its client are a cycle, and three fits to 67 MB
        left 202 MB on the cluster.
        """
        for future in itertools.chain(self._hired.values(), *self.groups):
            future.release()
        for actor in self.actors.values():
            own = getattr(actor, "_future", None)  # of the same key; Dask has no other way to it
            if own is not None:
                own.release()
        self._hired.clear()
        self.actors.clear()
        self.groups = []
        self._problem = ()

    def _round(self, key, work, arguments, count, arrays):
        begin = time.perf_counter()
        begun = clock.now()
        answers = self._everywhere("run", key, work, arguments, count, arrays)
        spent = {address: seconds for address, (_, _, seconds, _) in answers.items()}
        self._notice(spent)
        self.rounds += 1
        seconds = time.perf_counter() - begin
        self.seconds += seconds
        self.computing += max(spent.values())
        # The clock of a fit stood still where kernels were compiled in this process; now it also
        # leaves out what the workers compiled.
        compiling = max(compiled for *_, compiled in answers.values())
        clock.leave_out(max(compiling - (seconds - (clock.now() - begun)), 0.0))
        return answers

    def _everywhere(self, method, *arguments):
        """Answers by address.  Groups of a lost worker go to others, which are asked too."""
        answers: dict = {}
        for _ in range(MAX_LOSSES):
            found, lost = self._asked(
                {
                    address: (method, *(self._own(address, one) for one in arguments))
                    for address in self.actors
                    if address not in answers
                }
            )
            answers |= found
            if not lost:
                return answers
            for address in self._replace(lost):
                answers.pop(address, None)
        raise LostWorkersError(f"workers were lost {MAX_LOSSES} times in one round; given up")

    def _asked(self, calls):
        """Answers of actors that are called all at once, by address, and who of them is lost."""
        futures = {}
        for address, (method, *arguments) in calls.items():
            try:
                futures[address] = getattr(self.actors[address], method)(*arguments)
            except RuntimeError as error:  # the actor is known to be lost
                futures[address] = error
        answers, lost = {}, []
        for address, future in futures.items():
            try:
                answers[address] = self._result(address, future)
            except _LostError:
                lost.append(address)
        return answers, lost

    def _own(self, address, argument):
        """Of arrays by group, those of this worker's groups."""
        if isinstance(argument, list):
            return [self._own(address, one) for one in argument]
        if isinstance(argument, dict):
            return {number: argument[number] for number in self._groups_at(address)}
        return argument

    def _result(self, address, future):
        """What an actor answers, or Dask makes on this worker."""
        if isinstance(future, Exception):
            raise _LostError from future
        while True:
            done, begin = future.done(), time.monotonic()
            try:
                return future.result(timeout=LOOK)
            except CancelledError as error:
                raise LostWorkersError(
                    "blocks were lost together with a worker, and Dask cannot make them again: "
                    "data that were scattered have no recipe; load them by tasks, as "
                    "dask.array.from_array or read_parquet do, to outlive a worker"
                ) from error
            except Exception as error:
                # Else it is a TimeoutError of the block, which comes at once.
                waited = isinstance(error, TimeoutError) and time.monotonic() - begin > LOOK / 2
                unreached = str(error) == UNREACHED or (waited and done)
                if unreached or not self._there(address):
                    raise _LostError from error
                if not waited:
                    raise

    def _there(self, address):
        return address in workers_of(self.client)

    def _replace(self, lost):
        """Give the groups of lost workers to others; addresses of the actors that are new."""
        changed: set = set()
        for _ in range(MAX_LOSSES):
            if not lost:
                return changed
            logger.warning("lost %s; its blocks are made again elsewhere", ", ".join(sorted(lost)))
            left = self._left(lost)
            for address in lost:
                self.actors.pop(address, None)
                self._hired.pop(address, None)
            changed -= set(lost)
            for number, home in self._homes.items():
                if home in lost:
                    self._homes[number] = left[number % len(left)]
                    changed.add(self._homes[number])
            lost = self._hire(changed) or self._told(changed)
        raise LostWorkersError(f"workers were lost {MAX_LOSSES} times in one round; given up")

    def _left(self, lost):
        """Workers that are there, or come back soon: many are started anew where they die."""
        until = time.monotonic() + PATIENCE
        while True:
            left = sorted(set(workers_of(self.client)) - set(lost))
            if left:
                return left
            if time.monotonic() >= until:
                raise LostWorkersError(
                    "all workers of the cluster are gone; the estimator is as it was: start "
                    "workers and fit again"
                )
            time.sleep(LOOK)

    def _told(self, addresses):
        """Tell new actors what the others know; who of them is lost."""
        lost: list = []
        if self._loaded:
            lost = self._asked(dict.fromkeys(addresses, ("load", *self._loaded)))[1]
        if self._problem and not lost:
            lost = self._prepared(addresses)
        return lost

    def _prepared(self, addresses):
        """Tell actors the objective; who of them is lost."""
        import cloudpickle

        key, template, centers, samples = self._problem
        calls = {}
        for address in addresses:
            own = self._own(address, samples)
            calls[address] = "prepare", key, cloudpickle.dumps((template, centers, own))
        return self._asked(calls)[1]

    def _hire(self, addresses):
        """Actors for the groups of these workers; who of them is lost."""
        futures = {}
        for address in sorted(addresses):
            mine = self._groups_at(address)
            self._hired[address] = futures[address] = self.client.submit(
                Shard,
                mine,
                [self.firsts[number] for number in mine],
                [self.groups[number] for number in mine],
                actor=True,
                workers=[address],
                allow_other_workers=False,
                pure=False,
            )
        lost = []
        for address, future in futures.items():
            try:
                self.actors[address] = self._result(address, future)
            except _LostError:
                lost.append(address)
        return lost

    def _groups_at(self, address):
        return sorted(number for number, home in self._homes.items() if home == address)

    def _notice(self, spent):
        """Tell of a worker that is slow again and again."""
        usual = float(np.median(list(spent.values())))
        for address, seconds in spent.items():
            slow = len(spent) > 1 and seconds > STRAGGLES * max(usual, QUICK)
            self._slow[address] = self._slow.get(address, 0) + 1 if slow else 0
            if self._slow[address] == OFTEN:
                logger.warning(
                    "worker %s took %.2f s for its blocks, the median worker %.2f s",
                    address,
                    seconds,
                    usual,
                )


class _LostError(Exception):
    """A worker that was asked is gone."""


def workers_of(client):
    """Addresses of the workers that there are."""
    return list(client.scheduler_info(n_workers=-1)["workers"])


def homes_of(client, groups):
    """The worker that each group is to live on: where most of its blocks are."""
    workers = sorted(workers_of(client))
    if not workers:
        raise LostWorkersError("the cluster has no workers; start some, or wait for them")
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


def _merged(answers):
    found: dict = {}
    for one in answers.values():
        found.update(one)
    return found


def _passes(answers):
    return sum(passes for _, passes, *_ in answers.values())
