"""The workers that hold the blocks: asked all at once, a round, and replaced where one is lost."""

import itertools
import logging
import time
from collections import Counter
from concurrent.futures import CancelledError

from fastgd.dask.shard import Asked, Shard
from fastgd.dask.teams import FEW, teams_of
from fastgd.dask.tree import folded
from fastgd.runtime.clock import clock

logger = logging.getLogger("fastgd")

# A worker that takes so many times as long as the median one, so many rounds in a row, is told of;
# of two the quicker one is the median, or the slower could never take so long.
STRAGGLES = 5.0
OFTEN = 3
# Seconds of work below which nobody is called slow, and of silence.
QUICK = 1e-2
SILENT = 2.0
# What distributed says, in an OSError, of an actor whose worker does not answer; other OSErrors are
# those of blocks, such as of a file that is missing.
UNREACHED = "Unable to contact Actor's worker"
# How often a round is tried again after a worker was lost.
MAX_LOSSES = 20
# Seconds between looks whether a worker that has not answered is still there.
LOOK = 0.5
# Seconds that a cluster without workers is given to start one.
PATIENCE = 20.0

# What is said where the last worker is gone.
GONE = (
    "all workers of the cluster are gone; the estimator is as it was: start workers and fit again"
)
CLOSED = (
    "the Dask client was closed while it was needed; the estimator is as it was: make a client and "
    "fit again"
)


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
        return self._round(key, work, arguments, 0, arrays)

    def sum_over_parts(self, key, work, arguments, arrays):
        """The sum of it over all blocks, and the passes that it took: a round."""
        count = len(self.groups)
        found, passes = self._round(key, work, arguments, count, arrays)
        return folded(found, count)[0, count], passes

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

    def _round(self, *call):
        """What is found by group, or by node of the tree, and the passes that it took."""
        begin = time.perf_counter()
        begun = clock.now()
        found, told = self._found(*call)
        spent: Counter = Counter()
        for one in told:
            spent[one.address] += one.seconds
        self._notice(spent)
        self.rounds += 1
        seconds = time.perf_counter() - begin
        self.seconds += seconds
        self.computing += max(spent.values())
        clock.leave_out(left_out(told, seconds - (clock.now() - begun)))
        return found, sum(one.passes for one in told)

    def _found(self, key, work, arguments, count, arrays):
        """Answers of all groups in one, and what the workers tell of it.  After a loss, those are
        asked for that are missing.
        """
        found: dict = {}
        told: list = []
        for _ in range(MAX_LOSSES):
            wanted = set(self._homes) - set(_covered(found))
            if not wanted:
                return found, told
            asked, calls = (key, work, arguments, count), {}
            if count and len(self.actors) > FEW:
                for head, team in teams_of(self._homes, wanted, len(self.actors)).items():
                    others = [
                        (self.actors[address].key, _own(address, numbers, arrays))
                        for address, numbers in team
                    ]
                    calls[head] = "lead", *asked, others
            else:
                for address in self.actors:
                    numbers = [one for one in self._groups_at(address) if one in wanted]
                    if numbers:
                        calls[address] = "run", *asked, _own(address, numbers, arrays)
            answers, lost = self._asked(calls)
            for one in answers.values():
                found |= one.found
                told += one.told
                lost += one.lost
            self._replace(sorted(set(lost)))
        raise LostWorkersError(f"workers were lost {MAX_LOSSES} times in one round; given up")

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
        answers = {}
        lost = []
        silence = _Silence(futures)
        for address, future in futures.items():
            try:
                answers[address] = self._result(address, future, silence)
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

    def _result(self, address, future, silence):
        """What an actor answers."""
        if isinstance(future, Exception):
            raise _LostError from future
        while True:
            begin = time.monotonic()
            try:
                return future.result(timeout=LOOK)
            except Exception as error:
                # Else it is a TimeoutError of the block, which comes at once. What is there already
                # may take as long, where this process is busy: nobody is lost by that.
                waited = isinstance(error, TimeoutError) and time.monotonic() - begin > LOOK / 2
                if str(error) == UNREACHED or not self._there(address):
                    raise _LostError from error
                if not waited:
                    raise
                silence.look(address)

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
                raise LostWorkersError(GONE)
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
                self.actors[address] = self._made(address, future)
            except _LostError:
                lost.append(address)
        return lost

    def _made(self, address, future):
        """The handle of an actor, once it is there.  It is not fetched: a fetch that takes longer
        than a look is called off with all others, and none of them is answered ever after.
        """
        from distributed import Actor

        while not there([future], LOOK):
            if not self._there(address):
                raise _LostError
        if future.status != "finished":
            try:
                future.result()  # raises what went wrong
            except Exception as error:
                if not self._there(address):
                    raise _LostError from error
                raise
        return Actor(Shard, address, future.key)

    def _groups_at(self, address):
        return sorted(number for number, home in self._homes.items() if home == address)

    def _notice(self, spent):
        """Tell of a worker that is slow again and again."""
        usual = sorted(spent.values())[(len(spent) - 1) // 2]
        for address, seconds in spent.items():
            slow = seconds > STRAGGLES * max(usual, QUICK)
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


class _Silence:
    """Tells of workers that have not answered long after half of all have."""

    def __init__(self, futures):
        self.futures, self.begin = futures, time.monotonic()
        self.half: float | None = None
        self.told: set = set()

    def look(self, address):
        """Tell of this one, which is waited for, where it is time."""
        seconds = time.monotonic() - self.begin
        if self.half is None:
            answered = sum(
                isinstance(one, Exception) or one.done() for one in self.futures.values()
            )
            if 2 * answered < len(self.futures):
                return
            self.half = seconds
        if address not in self.told and seconds > STRAGGLES * max(self.half, SILENT):
            self.told.add(address)
            logger.warning(
                "worker %s has not answered for %.0f s, half of the workers did within %.1f s",
                address,
                seconds,
                self.half,
            )


def workers_of(client):
    """Addresses of the workers that there are."""
    # Not by scheduler_info, whose answer Dask replaces every two seconds by one without workers.
    try:
        return list(client.nthreads())
    except Exception as error:
        if is_closed(client):
            raise LostWorkersError(CLOSED) from error
        raise


def is_closed(client):
    """Whether somebody closes a client, or has."""
    return client.status in ("closing", "closed")


def wait_for(client, futures):
    """Wait until the blocks are there.

    Raises
    ------
    LostWorkersError
        Where there were workers, and are none any more.  A cluster that has none yet may start some
        because it is asked for something: it is waited for, as Dask does.
    """
    seen = gone = False
    until = 0.0
    while not there(futures, LOOK):
        if workers_of(client):
            seen, gone = True, False
        elif not gone:
            gone, until = True, time.monotonic() + PATIENCE
            if not seen:
                logger.warning("the cluster has no workers; the fit waits for the first one")
        elif seen and time.monotonic() >= until:
            raise LostWorkersError(GONE)


def there(futures, seconds):
    """Whether what Dask makes is there, or has failed, within so many seconds."""
    from distributed import wait

    try:
        wait(futures, timeout=seconds)
    except TimeoutError:
        return False
    except CancelledError as error:
        if any(is_closed(one.client) for one in futures):
            raise LostWorkersError(CLOSED) from error
        raise LostWorkersError(
            "blocks were lost together with a worker, and Dask cannot make them again: "
            "data that were scattered have no recipe; load them by tasks, as "
            "dask.array.from_array or read_parquet do, to outlive a worker"
        ) from error
    return True


def homes_of(client, groups):
    """The worker that each group is to live on: where most of its blocks are."""
    workers = sorted(workers_of(client))
    if not workers:
        raise LostWorkersError(GONE)
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


def left_out(told, stood):
    """Seconds of a round that the clock of a fit is to leave out: those in which the workers
    compiled, beyond those for which it `stood` still, as kernels were compiled in this process.
    """
    return max(max(one.compiling for one in told) - stood, 0.0)


def _merged(answers):
    found: dict = {}
    for one in answers.values():
        found.update(one)
    return found


def _own(address, numbers, arrays):
    """What a worker is asked for: sums of these groups."""
    own = [{number: array[number] for number in numbers} for array in arrays]
    return Asked(address, numbers, own)


def _covered(found):
    """Groups of which there is an answer, or a sum of it."""
    for key in found:
        yield from range(*key) if isinstance(key, tuple) else (key,)
