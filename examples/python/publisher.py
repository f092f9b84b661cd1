"""Publishes to Tidegate's channels from Python, with nothing but nats-py.

Run it: NATS_URL=nats://127.0.0.1:4222 python publisher.py [CHANNEL] [COUNT] [--log]

The default channel is market.BTC-USD.trades. With --log each publication waits until
the log of the channel's namespace has it, and is stored once, however often it is
sent: for namespaces with history.
"""

import argparse
import asyncio
import json
import os
import time

import nats


def trade(nth: int) -> bytes:
    return json.dumps({"price": 64_000 + nth, "size": 0.5}).encode()


def now_us() -> str:
    return str(time.time_ns() // 1_000)


async def publish(nc: nats.NATS, subject: str, count: int) -> None:
    """As simple as can be: a payload on a subject.

    The header is optional. With it clients see when it was published, and those
    that move from one gateway to another never see it twice.
    """
    for nth in range(count):
        await nc.publish(subject, trade(nth), headers={"Tg-Published-At": now_us()})
    await nc.flush()
    print(f"published {count} to {subject}", flush=True)


async def publish_to_log(nc: nats.NATS, subject: str, count: int) -> None:
    """With an acknowledgement of the log, and the offset it gave."""
    js = nc.jetstream()
    run = time.time_ns()
    for nth in range(count):
        headers = {"Tg-Published-At": now_us(), "Nats-Msg-Id": f"{run}-{nth}"}
        ack = await js.publish(subject, trade(nth), timeout=5, headers=headers)
        # Sent again, as after a time-out: stored once.
        again = await js.publish(subject, trade(nth), timeout=5, headers=headers)
        assert again.duplicate and again.seq == ack.seq
        print(f"stored at offset {ack.seq} of {ack.stream}", flush=True)


async def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("channel", nargs="?", default="market.BTC-USD.trades")
    arguments.add_argument("count", nargs="?", type=int, default=3)
    arguments.add_argument("--log", action="store_true")
    options = arguments.parse_args()

    url = os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    nc = await nats.connect(url, name="publisher")
    how = publish_to_log if options.log else publish
    await how(nc, f"tg.ch.{options.channel}", options.count)
    await nc.close()


if __name__ == "__main__":
    asyncio.run(main())
