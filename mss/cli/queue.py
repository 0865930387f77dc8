"""`mss queue list|retry|hold|release`: mail that has not left yet."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mss.cli.common import DEFAULT_CONFIG, ConfigOption, JsonOption, finish, open_house, settings, show
from mss.config import Config
from mss.model.clock import from_ms, to_ms
from mss.model.errors import NotFound
from mss.model.ids import lane_of
from mss.store import audit, changes, records, schema, tasks
from mss.store.records import HeldWhat
from mss.store.sql import Connection
from mss.store.tasks import Queued, RowState

app = typer.Typer(no_args_is_help=True, help="Mail waiting to leave.")

Number = Annotated[int, typer.Argument(help="Number in mss queue list.")]


@app.command("list")
def list_queue(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Mail that has not left, oldest first."""
    rows = [_fields(row) for row in finish(_rows(settings(config)))]
    columns = ("id", "next_hop", "state", "attempts", "next_try", "last_reason")
    show(rows, as_json=as_json, columns=columns, empty="nothing waits")


async def _rows(config: Config) -> list[Queued]:
    async with open_house(config) as ground:
        return await ground.store.read(tasks.list_queue)


def _fields(row: Queued) -> dict[str, Any]:
    return {
        "id": str(row.id),  # 63 bits: readers of JSON keep 53
        "next_hop": row.next_hop,
        "state": row.state,
        "attempts": row.attempts,
        "next_try": from_ms(row.next_try_ms).isoformat(timespec="seconds"),
        "last_reason": row.last_reason,
    }


@app.command()
def retry(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Try one mail again now."""
    finish(_set(settings(config), number, RowState.WAITING, "queue.retry"))
    print(f"{number}: will be tried now")


@app.command()
def hold(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Keep one mail back until release."""
    finish(_set(settings(config), number, RowState.HELD, "queue.hold"))
    print(f"{number}: held")


@app.command()
def release(number: Number, config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Let a held or failed mail go again."""
    finish(_set(settings(config), number, RowState.WAITING, "queue.release"))
    print(f"{number}: released")


async def _set(config: Config, number: int, state: RowState, act: str) -> None:
    async with open_house(config) as ground:
        row = next((one for one in await ground.store.read(tasks.list_queue) if one.id == number), None)
        if row is None:
            raise NotFound(f"{number} is not in the queue")
        now = ground.clock.now()
        hold = ground.holder.kept_by_staff(row, ground.house.postmaster.domain) if state is RowState.HELD else None

        def write(connection: Connection) -> None:
            tasks.set_row_state(connection, schema.queue, row.owner, row.id, state, act)
            records.let_go(connection, row.owner, HeldWhat.OUTGOING, row.id, to_ms(now))
            if hold is not None:
                hold.put(connection)
            if state is RowState.WAITING:
                tasks.put_back(connection, schema.queue, row.owner, row.id, to_ms(now), act)
            done = audit.Act(now, "staff:command", act, row.owner, row.id, row.message_id_hmac)
            audit.write(connection, [done])

        await ground.store.write(lane_of(row.owner), write)
        ground.bus.publish(changes.TASK)
