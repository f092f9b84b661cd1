"""A client nobody here wrote, against `tidegate dev`: every check with both codecs."""

import asyncio
import sys
from functools import partial

from harness import ANNOUNCED, PATIENCE, Binary, Client, Json, call, encoded, hello, run, services

(GATEWAY,) = ANNOUNCED
Client.url, Client.token = GATEWAY["client_url"], GATEWAY["token"]

# === what is checked, with both codecs ===


async def publishes_and_receives(codec):
    client = await Client.welcomed(codec)
    alias = await client.subscribe("demo.interop")
    payload = encoded(bytes(range(256)))
    publish = {"id": 2, "channel": "demo.interop", "payload": payload}
    await client.send({"publish": publish})
    events = dict([await client.next(), await client.next()])
    assert events["accepted"]["id"] == 2, events
    publication = events["publication"]
    assert publication["payload"] == payload, publication
    assert publication.get("alias", 0) == alias, publication
    await client.send({"unsubscribe": {"id": 3, "channel": "demo.interop"}})
    unsubscribed = await client.expect("unsubscribed")
    assert (unsubscribed["id"], unsubscribed["channel"]) == (3, "demo.interop"), unsubscribed
    # Nothing comes between any more.
    await client.send({"publish": publish})
    await client.expect("accepted")
    await client.send({"ping": {"nonce": 4}})
    await client.expect("pong")
    await client.close()


async def another_subscriber_receives(codec):
    other = Json if codec is Binary else Binary
    publisher, subscriber = await Client.welcomed(codec), await Client.welcomed(other)
    await subscriber.subscribe("demo.pair")
    payload = encoded(b"from one codec to the other")
    await publisher.send({"publish": {"channel": "demo.pair", "payload": payload}})
    publication = await subscriber.expect("publication")
    assert publication["payload"] == payload, publication
    await publisher.close()
    await subscriber.close()


async def request_is_answered(codec):
    client = await Client.welcomed(codec)
    payload = b"are you there?"
    assert await client.request("echo", payload) == {"id": 9, "payload": encoded(payload)}
    await client.close()


async def unknown_route_fails(codec):
    client = await Client.welcomed(codec)
    response = await client.request("nowhere")
    assert response["failure"]["code"] == "ERROR_CODE_UNKNOWN_ROUTE", response
    await client.close()


async def pings_are_answered(codec):
    client = await Client.welcomed(codec)
    await client.send({"ping": {"nonce": 4294967295}}, {"ping": {"nonce": 7}})
    assert (await client.expect("pong"))["nonce"] == 4294967295
    assert (await client.expect("pong"))["nonce"] == 7
    await asyncio.wait_for(await client.socket.ping(b"of the WebSocket"), PATIENCE)
    await client.close()


async def token_in_the_query_needs_no_hello(codec):
    client = await Client.connect(codec, f"{Client.url}?access_token={Client.token}")
    await client.expect("welcome")
    await client.close()


async def invalid_channel_is_refused(codec):
    client = await Client.welcomed(codec)
    await client.send({"subscribe": {"id": 5, "channel": "demo.*"}})
    error = await client.expect("error")
    assert error["id"] == 5, error
    assert error["failure"]["code"] == "ERROR_CODE_INVALID_CHANNEL", error
    await client.close()


async def bad_token_is_4002(codec):
    client = await Client.connect(codec)
    await client.send(hello("no token"))
    await client.closed(4002, "invalid_token")


async def subscribe_before_hello_is_4003(codec):
    client = await Client.connect(codec)
    await client.send({"subscribe": {"id": 1, "channel": "demo.interop"}})
    await client.closed(4003, "not_authenticated")


async def second_hello_is_4005(codec):
    client = await Client.welcomed(codec)
    await client.send(hello())
    await client.closed(4005, "protocol_violation")


async def wrong_type_of_message_is_1003(codec):
    client = await Client.welcomed(codec)
    await client.socket.send("text" if codec is Binary else b"binary")
    await client.closed(1003, "wrong_message_type")


async def malformed_message_is_4004(codec):
    client = await Client.welcomed(codec)
    await client.socket.send(b"\xff\xff\xff" if codec is Binary else "{")
    await client.closed(4004, "malformed_message")


# === gRPC ===


async def grpc_publish_reaches_the_client(codec):
    """With nothing but what reflection tells about the services."""
    client = await Client.welcomed(codec)
    await client.subscribe("demo.grpc")
    await asyncio.wait_for(asyncio.to_thread(publish_over_grpc, b"from a backend"), PATIENCE)
    publication = await client.expect("publication")
    assert publication["payload"] == encoded(b"from a backend"), publication
    await client.close()


def publish_over_grpc(payload):
    found = services(GATEWAY["grpc_url"])
    assert "tidegate.control.v1.PublishService" in found, found
    assert "grpc.health.v1.Health" in found, found
    publication = {"channel": "demo.grpc", "payload": encoded(payload)}
    call(GATEWAY["grpc_url"], "PublishService/Publish", {"publication": publication})


CHECKS = [
    publishes_and_receives,
    another_subscriber_receives,
    request_is_answered,
    unknown_route_fails,
    pings_are_answered,
    token_in_the_query_needs_no_hello,
    invalid_channel_is_refused,
    bad_token_is_4002,
    subscribe_before_hello_is_4003,
    second_hello_is_4005,
    wrong_type_of_message_is_1003,
    malformed_message_is_4004,
    grpc_publish_reaches_the_client,
]

BOTH = [
    (f"{codec.subprotocol} {check.__name__}", partial(check, codec))
    for codec in (Binary, Json)
    for check in CHECKS
]

sys.exit(asyncio.run(run("python", BOTH)))
