"""A Tidegate worker in Python, with nothing but nats-py.

It answers two routes. `orders.place` is an endpoint of a NATS micro service, so
`nats micro list` shows it. `orders.report` takes a while, and stops when the client
cancels the request or goes away.

Run it: NATS_URL=nats://127.0.0.1:4222 python worker.py
"""

import asyncio
import json
import os
import signal
from urllib.parse import unquote

import nats
import nats.micro
from nats.aio.msg import Msg
from nats.micro.request import Request


def header(headers: dict[str, str] | None, name: str) -> str:
    """What a gateway wrote into a header; it percent-encodes what none can hold."""
    return unquote((headers or {}).get(name, ""))


async def place(request: Request) -> None:
    """Answers `orders.place` with who ordered what, or says what is wrong with it."""
    try:
        order = json.loads(request.data)
        quantity = int(order["quantity"])
    except (ValueError, KeyError, TypeError):
        # The code is the worker's own. Without Tg-Retryable, only the codes 429,
        # 503 and 504 tell the client to try again.
        await request.respond_error(
            "400",
            "an order needs a quantity",
            headers={"Tg-Error-Code": "no-quantity", "Tg-Retryable": "false"},
        )
        return
    placed = {"user": header(request.headers, "Tg-User"), "quantity": quantity}
    await request.respond(json.dumps(placed).encode())


class Reports:
    """`orders.report`: work that can be cancelled, several at a time."""

    SUBJECT = "tg.rq.orders.report"

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Task[None]] = {}

    async def start(self, nc: nats.NATS) -> None:
        # "q" is the queue group of NATS micro services and of all our workers.
        await nc.subscribe(self.SUBJECT, queue="q", cb=self.take)
        # No queue group: every worker hears it, and the one at work stops.
        await nc.subscribe(f"tg.cn.{self.SUBJECT}", cb=self.cancel)

    async def take(self, msg: Msg) -> None:
        # As a task, because nats-py hands over one message after another.
        task = asyncio.create_task(self.report(msg))
        self.under_way[msg.reply] = task
        task.add_done_callback(lambda _: self.under_way.pop(msg.reply, None))

    async def cancel(self, msg: Msg) -> None:
        # The payload is the reply subject of the request that nobody waits for.
        if task := self.under_way.get(msg.data.decode(errors="replace")):
            task.cancel()

    async def report(self, msg: Msg) -> None:
        milliseconds = int(header(msg.headers, "Tg-Deadline") or 5_000)
        try:
            # Half of the time that the client gives, to stand for real work.
            await asyncio.sleep(min(milliseconds / 2_000, 1.0))
            await msg.respond(b'{"orders": 3}')
        except asyncio.CancelledError:
            print("cancelled", flush=True)


async def main() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    nc = await nats.connect(url, name="orders", max_reconnect_attempts=-1)
    service = await nats.micro.add_service(
        nc, name="orders", version="1.0.0", description="Takes orders"
    )
    await service.add_endpoint(
        name="place", subject="tg.rq.orders.place", handler=place
    )
    reports = Reports()
    await reports.start(nc)
    # Once the server has answered, it knows the subscriptions.
    await nc.flush()
    print("ready", flush=True)

    await stop.wait()
    if reports.under_way:
        await asyncio.wait(reports.under_way.values(), timeout=5)
    # Takes nothing new, answers what has come, closes.
    await nc.drain()


if __name__ == "__main__":
    asyncio.run(main())
