"""nats-py as worker and publisher, against `tidegate cluster` with two gateways.

The environment's EXAMPLES is the folder of the programs that users are shown; they
are run as they are.
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager

import nats
from harness import ANNOUNCED, PATIENCE, Binary, Client, Json, call, encoded, run

*_, READY = ANNOUNCED
GATEWAYS = [line["client_url"] for line in ANNOUNCED if line.get("role") == "gateway"]
NATS_URL = READY["nats_urls"][0]
USER = "zoë of the tide"

ROUTE = "orders.place"
ORDER = b'{"quantity": 2}'


@asynccontextmanager
async def backend():
    nc = await nats.connect(NATS_URL, connect_timeout=PATIENCE)
    try:
        yield nc
    finally:
        await nc.close()


@asynccontextmanager
async def on_each_gateway(channel=None):
    """A client of each gateway, one for each codec; all listen to the channel."""
    clients = []
    try:
        for codec, url in zip((Binary, Json), GATEWAYS, strict=True):
            clients.append(await Client.welcomed(codec, url))
            if channel:
                await clients[-1].subscribe(channel)
        yield clients
    finally:
        for client in clients:
            await client.close()


async def start(program, *arguments):
    """Starts one of the examples."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        os.path.join(os.environ["EXAMPLES"], program),
        *arguments,
        env={**os.environ, "NATS_URL": NATS_URL},
        stdout=asyncio.subprocess.PIPE,
    )


async def asked(clients, payload):
    """The failures with which the clients' requests end."""
    return [(await client.request(ROUTE, payload)).get("failure") for client in clients]


# === what is checked, in this order ===


class Worker:
    """examples/python/worker.py, from its start to its end."""

    process = None

    @classmethod
    async def without_it_requests_fail_at_once(cls):
        # A request that waited in vain would end with DEADLINE_EXCEEDED.
        async with on_each_gateway() as clients:
            for failure in await asked(clients, ORDER):
                assert failure["code"] == "ERROR_CODE_NO_WORKER", failure
                assert failure["retryable"], failure

    @classmethod
    async def starts(cls):
        cls.process = await start("worker.py")
        line = await asyncio.wait_for(cls.process.stdout.readline(), PATIENCE)
        assert line == b"ready\n", line

    @classmethod
    async def answers_by_either_gateway(cls):
        async with on_each_gateway() as clients:
            placed = encoded(json.dumps({"user": USER, "quantity": 2}).encode())
            for client in clients:
                response = await client.request(ROUTE, ORDER)
                assert response == {"id": 9, "payload": placed}, response

    @classmethod
    async def its_errors_keep_their_code(cls):
        async with on_each_gateway() as clients:
            for failure in await asked(clients, b"{}"):
                assert failure["code"] == "ERROR_CODE_WORKER_ERROR", failure
                assert failure["workerCode"] == "no-quantity", failure
                assert failure["message"] == "an order needs a quantity", failure
                assert not failure.get("retryable"), failure

    @classmethod
    async def ends_in_order(cls):
        cls.process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(cls.process.wait(), PATIENCE)
        assert status == 0, status
        await cls.without_it_requests_fail_at_once()

    @classmethod
    def end(cls):
        if cls.process and cls.process.returncode is None:
            cls.process.kill()


async def discovered(nc, verb):
    """Answers of services to `$SRV.PING` and the like, by name, as `nats micro ls`
    gathers them; until those of both workers are there."""
    answers = {}
    inbox = nc.new_inbox()
    subscription = await nc.subscribe(inbox)
    await nc.publish(f"$SRV.{verb}", reply=inbox)
    while not {"demo", "orders"} <= answers.keys():
        answer = json.loads((await subscription.next_msg(PATIENCE)).data)
        assert answer["type"] == f"io.nats.micro.v1.{verb.lower()}_response", answer
        answers[answer["name"]] = answer
    return answers


async def workers_are_discovered():
    async with backend() as nc:
        pings, infos = await discovered(nc, "PING"), await discovered(nc, "INFO")
        for name, subject in (("demo", "tg.rq.demo.echo"), ("orders", "tg.rq.orders.place")):
            assert pings[name]["id"] == infos[name]["id"], (pings, infos)
            (endpoint,) = infos[name]["endpoints"]
            assert (endpoint["subject"], endpoint["queue_group"]) == (subject, "q"), endpoint


async def publisher_is_heard_by_each_gateway():
    async with on_each_gateway("demo.trades") as clients:
        publisher = await start("publisher.py", "demo.trades", "2")
        printed, _ = await asyncio.wait_for(publisher.communicate(), PATIENCE)
        assert (publisher.returncode, printed) == (0, b"published 2 to tg.ch.demo.trades\n")
        for client in clients:
            for price in (64_000, 64_001):
                trade = encoded(json.dumps({"price": price, "size": 0.5}).encode())
                publication = await client.expect("publication")
                assert publication["payload"] == trade, publication
                assert int(publication["publishedAtUs"]) > 0, publication


async def publisher_to_a_log_is_told_the_offsets_of_clients():
    async with on_each_gateway("market.BTC-USD.trades") as clients:
        publisher = await start("publisher.py", "--log")
        printed, _ = await asyncio.wait_for(publisher.communicate(), PATIENCE)
        assert publisher.returncode == 0, publisher.returncode
        offsets = [line.split()[3] for line in printed.decode().splitlines()]
        assert len(offsets) == 3, printed
        for client in clients:
            for offset in offsets:
                publication = await client.expect("publication")
                assert publication["offset"] == offset, (publication, offsets)


async def payload_without_headers_is_a_publication():
    payload = bytes(range(256))
    async with on_each_gateway("demo.x") as clients, backend() as nc:
        await nc.publish("tg.ch.demo.x", payload)
        await nc.flush(PATIENCE)
        for client in clients:
            publication = await client.expect("publication")
            assert publication["payload"] == encoded(payload), publication


async def log_takes_a_message_id_once():
    async with on_each_gateway("chat.x") as clients, backend() as nc:
        js = nc.jetstream(timeout=PATIENCE)

        async def publish(payload, message_id):
            return await js.publish("tg.ch.chat.x", payload, headers={"Nats-Msg-Id": message_id})

        first, again = await publish(b"one", "1"), await publish(b"one again", "1")
        assert again.duplicate and again.seq == first.seq, (first, again)
        # What follows shows that nothing came between.
        second = await publish(b"two", "2")
        for client in clients:
            one, two = await client.expect("publication"), await client.expect("publication")
            assert (one["payload"], one["offset"]) == (encoded(b"one"), str(first.seq)), one
            assert (two["payload"], two["offset"]) == (encoded(b"two"), str(second.seq)), two
            assert two["previous"] == one["offset"], (one, two)


CHECKS = [
    Worker.without_it_requests_fail_at_once,
    Worker.starts,
    Worker.answers_by_either_gateway,
    Worker.its_errors_keep_their_code,
    workers_are_discovered,
    publisher_is_heard_by_each_gateway,
    publisher_to_a_log_is_told_the_offsets_of_clients,
    payload_without_headers_is_a_publication,
    log_takes_a_message_id_once,
    Worker.ends_in_order,
]


async def main():
    issued = await asyncio.to_thread(
        call, READY["grpc_url"], "AuthService/IssueToken", {"user": USER, "lifetime": "600s"}
    )
    Client.token = issued["token"]
    try:
        return await run("cluster", [(check.__qualname__, check) for check in CHECKS])
    finally:
        Worker.end()


sys.exit(asyncio.run(main()))
