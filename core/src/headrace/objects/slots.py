"""Taking slots of concurrency limits, waiting for them, and giving them back."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

from headrace.client.bridge import drive
from headrace.client.connect import current_client, recover_dead
from headrace.client.current_run import run_ids
from headrace.client.interface import Client
from headrace.client.waiting import is_embedded
from headrace.model import clock
from headrace.model.concurrency import (
    LEASE_SECONDS_DEFAULT,
    LEASE_SECONDS_MIN,
    TAG_PREFIX,
    ConcurrencyLeaseHolder,
    FilterConcurrencyLimits,
    IncrementSlots,
    IncrementSlotsWithLease,
    MinimalConcurrencyLimitResponse,
    ReleaseLease,
)
from headrace.model.endpoints.concurrency import (
    DECREMENT_SLOTS_WITH_LEASE,
    FILTER_TAG_LIMITS,
    INCREMENT_SLOTS,
    INCREMENT_SLOTS_WITH_LEASE,
    READ_LIMIT,
)
from headrace.model.errors import (
    ConcurrencySlotAcquisitionError,
    HeadraceException,
    InvalidRequest,
    ObjectNotFound,
    SlotsUnavailable,
)
from headrace.model.events import Event
from headrace.objects.events import emit_event
from headrace.objects.leases import Lease, forget, interrupter, keep, raise_in_thread
from headrace.objects.slot_waiting import Patience, Place, until_first

KNOWN_TAGS_SECONDS = 2.0
PAGE_LENGTH = 200
RECOVERY_SECONDS = 2.0  # whoever waits on a store in this process looks that often for processes that died and still hold slots

logger = logging.getLogger("headrace.concurrency")


async def _take(
    client: Client,
    body: IncrementSlots | IncrementSlotsWithLease,
    timeout_seconds: float | None,
    max_retries: int | None,
) -> tuple[UUID | None, list[MinimalConcurrencyLimitResponse]]:
    """Take the slots as soon as there are enough, and return their lease, if they have one, and the limits concerned."""
    patience = Patience(body.names, timeout_seconds, max_retries, is_embedded(client))
    looked = clock.monotonic()
    with Place(body.names) as place:
        while True:
            number = place.number()
            seconds = until_first(number)
            if number == 0 or patience.is_over():
                try:
                    if isinstance(body, IncrementSlotsWithLease):
                        taken = await client.call(INCREMENT_SLOTS_WITH_LEASE, body)
                        return taken.lease_id, taken.limits
                    return None, await client.call(INCREMENT_SLOTS, body)
                except SlotsUnavailable as error:
                    seconds = patience.refused(error, is_exact=isinstance(body, IncrementSlots))
                    if clock.monotonic() - looked >= RECOVERY_SECONDS:
                        recover_dead()
                        looked = clock.monotonic()
                except InvalidRequest as error:
                    raise ConcurrencySlotAcquisitionError(f"Unable to acquire concurrency slots on {body.names}: {error}.") from error
            await patience.wait(seconds)


# --- limits that do not exist ----------------------------------------------------------------------------------------------------


async def _check_known(client: Client, names: list[str], found: list[MinimalConcurrencyLimitResponse], strict: bool) -> None:
    """Say that names are unknown: an error if `strict`, else a warning. A limit that is switched off is known."""
    found_names = {limit.name for limit in found}
    for name in names:
        if name in found_names:
            continue
        try:
            await client.call(READ_LIMIT, id_or_name=name)
        except ObjectNotFound:
            advice = f"Create it with `headrace global-concurrency-limit create {name} --limit 1`."
            if strict:
                raise ConcurrencySlotAcquisitionError(f"There is no concurrency limit {name!r}, and `strict` is on. {advice}") from None
            logger.warning("There is no concurrency limit %r, so it does not limit anything. %s", name, advice)


# --- events -------------------------------------------------------------------------------------------------------------------------


def _emit(happened: str, slots: int, limits: Iterable[tuple[UUID, str, int]], follows: dict[UUID, Event]) -> dict[UUID, Event]:
    """Tell for each limit that slots were acquired or released, with the limits taken together as related ones."""
    limits = list(limits)
    resources = {
        limit_id: {
            "prefect.resource.id": f"prefect.concurrency-limit.{limit_id}",
            "prefect.resource.name": name,
            "slots-acquired": str(slots),
            "limit": str(limit),
        }
        for limit_id, name, limit in limits
    }
    return {
        limit_id: emit_event(
            f"prefect.concurrency-limit.{happened}",
            resource,
            related=[
                {"prefect.resource.id": other["prefect.resource.id"], "prefect.resource.role": "concurrency-limit"}
                for other_id, other in resources.items()
                if other_id != limit_id
            ],
            follows=follows.get(limit_id),
        )
        for limit_id, resource in resources.items()
    }


# --- what others use ----------------------------------------------------------------------------------------------------------------


async def acquire_slots(
    names: str | Iterable[str],
    occupy: int = 1,
    *,
    timeout_seconds: float | None = None,
    max_retries: int | None = None,
    lease_duration: float = LEASE_SECONDS_DEFAULT,
    strict: bool = False,
    holder: ConcurrencyLeaseHolder | None = None,
    interrupt_when_lost: bool = False,
) -> Lease | None:
    """Take `occupy` slots of every limit in `names`, all or none, and keep them until `release`; None when nothing limits.

    Waits for `timeout_seconds`, for ever by default, and then raises `AcquireConcurrencySlotTimeoutError`. Raises
    `ConcurrencySlotAcquisitionError` for more slots than a limit has, after `max_retries`, and for unknown names if `strict`.
    """
    wanted = _unique(names)
    if not wanted:
        return None
    client = current_client()
    body = IncrementSlotsWithLease(slots=occupy, names=wanted, lease_duration=lease_duration, holder=holder or _present_holder())
    lease_id, found = await _take(client, body, timeout_seconds, max_retries)
    assert lease_id is not None
    limits = tuple((limit.id, limit.name, limit.limit) for limit in found)
    lease = Lease(lease_id, client, lease_duration, occupy, limits)
    try:
        if len(found) < len(wanted):
            await _check_known(client, wanted, found, strict)
        if not limits:
            return None
        lease.events = _emit("acquired", occupy, limits, {})
        lease.interrupt = interrupter() if interrupt_when_lost else None
        keep(lease)
    except BaseException:
        await release(lease)
        raise
    return lease


async def release(lease: Lease) -> None:
    """Give back what `acquire_slots` took. What cannot be given back now is free when the lease expires, and a warning says so."""
    forget(lease)
    if not lease.limits:
        return
    try:
        await lease.client.call(DECREMENT_SLOTS_WITH_LEASE, ReleaseLease(lease_id=lease.id))
        if lease.events:
            _emit("released", lease.slots, lease.limits, lease.events)
    except HeadraceException as error:
        names = ", ".join(repr(name) for _, name, _ in lease.limits)
        logger.warning("The slots of %s could not be given back: %s They are free in %.0f s at most.", names, error, lease.duration_seconds)


def _unique(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(dict.fromkeys(names))


def _present_holder() -> ConcurrencyLeaseHolder | None:
    flow_run_id, task_run_id = run_ids()
    if task_run_id is not None:
        return ConcurrencyLeaseHolder(type="task_run", id=task_run_id)
    return None if flow_run_id is None else ConcurrencyLeaseHolder(type="flow_run", id=flow_run_id)


_DOC = """Hold slots of concurrency limits while the block runs.

    Args:
        names: the limits, by name. None at all holds nothing; a limit that is switched off holds nothing either.
        occupy: how many slots of each; all of them are taken at once, or none.
        timeout_seconds: how long to wait; for ever by default.
        max_retries: how often to ask again when slots are taken; for ever by default.
        lease_duration: seconds, 60 to 86400, after which slots are free should this process die. It is renewed while the block runs.
        strict: refuse to go on when a limit does not exist; otherwise a warning is logged.
        holder: who holds the slots; the current task run or flow run by default.
        raise_on_lease_renewal_failure: end the block with an error when the lease is lost; by default as `strict`.

    Raises `AcquireConcurrencySlotTimeoutError` (a `TimeoutError`), and `ConcurrencySlotAcquisitionError` for more slots than a limit has,
    after `max_retries`, for an unknown limit if `strict`, and in the block when its lease is lost.
    """


@contextmanager
def concurrency(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    max_retries: int | None = None,
    lease_duration: float = LEASE_SECONDS_DEFAULT,
    strict: bool = False,
    holder: ConcurrencyLeaseHolder | None = None,
    raise_on_lease_renewal_failure: bool | None = None,
) -> Generator[None, None, None]:
    lease = drive(
        acquire_slots(
            names,
            occupy,
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
            lease_duration=lease_duration,
            strict=strict,
            holder=holder,
            interrupt_when_lost=strict if raise_on_lease_renewal_failure is None else raise_on_lease_renewal_failure,
        )
    )
    if lease is None:
        yield
        return
    try:
        yield
    except ConcurrencySlotAcquisitionError:
        if lease.lost is not None and lease.interrupt is not None:
            raise lease.lost from lease.lost.__cause__
        raise
    finally:
        forget(lease)
        if lease.lost is not None and lease.interrupt is not None:
            raise_in_thread(threading.get_ident(), None)  # the block ended before it was interrupted
        drive(release(lease))


@asynccontextmanager
async def concurrency_async(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    max_retries: int | None = None,
    lease_duration: float = LEASE_SECONDS_DEFAULT,
    strict: bool = False,
    holder: ConcurrencyLeaseHolder | None = None,
    raise_on_lease_renewal_failure: bool | None = None,
) -> AsyncGenerator[None, None]:
    lease = await acquire_slots(
        names,
        occupy,
        timeout_seconds=timeout_seconds,
        max_retries=max_retries,
        lease_duration=lease_duration,
        strict=strict,
        holder=holder,
        interrupt_when_lost=strict if raise_on_lease_renewal_failure is None else raise_on_lease_renewal_failure,
    )
    if lease is None:
        yield
        return
    try:
        yield
    except BaseException as error:
        if lease.lost is not None and lease.interrupt is not None and type(error).__name__ == "CancelledError":
            import asyncio

            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # it was we who cancelled it
            raise lease.lost from lease.lost.__cause__
        raise
    finally:
        await release(lease)


concurrency.__doc__ = concurrency_async.__doc__ = _DOC


async def arate_limit(names: str | list[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False) -> None:
    """Wait until `occupy` slots of each of the rate limits `names` are taken. Nothing is given back: slots decay.

    Raises `AcquireConcurrencySlotTimeoutError` after `timeout_seconds` (for ever by default), and `ConcurrencySlotAcquisitionError` for a
    limit without slot decay, for more slots than a limit has, and for an unknown limit if `strict` (otherwise a warning is logged).
    """
    wanted = _unique(names)
    if not wanted:
        return
    client = current_client()
    _, found = await _take(client, IncrementSlots(slots=occupy, names=wanted, mode="rate_limit"), timeout_seconds, None)
    if len(found) < len(wanted):
        await _check_known(client, wanted, found, strict)
    _emit("acquired", occupy, [(limit.id, limit.name, limit.limit) for limit in found], {})


def rate_limit(names: str | list[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False) -> None:
    """Block until `occupy` slots of each of the rate limits `names` are taken; see `arate_limit`."""
    drive(arate_limit(names, occupy, timeout_seconds, strict))


# --- tasks: limits of their tags -----------------------------------------------------------------------------------------------------

_known_tags: tuple[Client, float, frozenset[str]] | None = None


async def acquire_task_slots(tags: Iterable[str], task_run_id: UUID) -> Lease | None:
    """Take one slot of the limit of each of a task's tags, waiting as long as it takes; None when no tag has a limit.

    Which tags have limits is asked at most every two seconds, so a new limit holds back tasks that start two seconds later at the latest.
    Raises `ConcurrencySlotAcquisitionError` when a limit is 0: the task could never run.
    """
    limited = sorted(set(tags) & await _limited_tags()) if tags else []
    if not limited:
        return None
    return await acquire_slots(
        [TAG_PREFIX + tag for tag in limited],
        lease_duration=LEASE_SECONDS_MIN,
        holder=ConcurrencyLeaseHolder(type="task_run", id=task_run_id),
    )


async def _limited_tags() -> frozenset[str]:
    global _known_tags
    client, now = current_client(), clock.monotonic()
    if _known_tags is not None and _known_tags[0] is client and now - _known_tags[1] < KNOWN_TAGS_SECONDS:
        return _known_tags[2]
    tags: set[str] = set()
    while True:
        page = await client.call(FILTER_TAG_LIMITS, FilterConcurrencyLimits(offset=len(tags), limit=PAGE_LENGTH))
        tags.update(limit.tag for limit in page)
        if len(page) < PAGE_LENGTH:
            break
    _known_tags = (client, now, frozenset(tags))
    return _known_tags[2]
