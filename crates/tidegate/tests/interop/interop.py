"""A client nobody here wrote: the Python packages websockets, protobuf and grpcio.

    interop.py ANNOUNCEMENT PROTO SCRATCH

ANNOUNCEMENT is the line of JSON that `tidegate dev --json` prints, PROTO the
folder of the .proto files, SCRATCH a folder for the code generated from them.
Events are written here as the protobuf JSON mapping has them; the two codecs
below bring them into the form of each subprotocol.
"""

import asyncio
import base64
import json
import sys
import traceback
from pathlib import Path

import grpc
import websockets
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

# For each single wait; generous, because it is only reached by a failure.
PATIENCE = 20

GATEWAY = json.loads(sys.argv[1])
PROTO, SCRATCH = Path(sys.argv[2]), Path(sys.argv[3])


def generate():
    """Generates the message classes with protoc and imports them."""
    files = [str(path) for path in sorted(PROTO.glob("tidegate/client/v1/*.proto"))]
    status = protoc.main(["protoc", f"-I{PROTO}", f"--python_out={SCRATCH}", *files])
    if status != 0:
        sys.exit(f"protoc failed with {status}")
    sys.path.insert(0, str(SCRATCH))
    from tidegate.client.v1 import client_event_pb2, server_event_pb2

    return client_event_pb2.ClientMessage, server_event_pb2.ServerMessage


ClientMessage, ServerMessage = generate()


class Binary:
    subprotocol = "tidegate.v1.protobuf"

    @staticmethod
    def encode(events):
        return json_format.ParseDict({"events": events}, ClientMessage()).SerializeToString()

    @staticmethod
    def decode(frame):
        assert isinstance(frame, bytes), f"text on a binary subprotocol: {frame!r}"
        return json_format.MessageToDict(ServerMessage.FromString(frame)).get("events", [])


class Json:
    subprotocol = "tidegate.v1.json"

    @staticmethod
    def encode(events):
        return json.dumps({"events": events})

    @staticmethod
    def decode(frame):
        assert isinstance(frame, str), f"binary on a text subprotocol: {frame!r}"
        # Through the reference implementation of the mapping: it refuses
        # unknown fields and wrong types.
        message = json_format.Parse(frame, ServerMessage())
        return json_format.MessageToDict(message).get("events", [])


class Client:
    """One connection; events received are kept in order."""

    def __init__(self, socket, codec):
        self.socket, self.codec, self.waiting = socket, codec, []

    @classmethod
    async def connect(cls, codec, query=""):
        socket = await websockets.connect(
            GATEWAY["client_url"] + query, subprotocols=[codec.subprotocol], open_timeout=PATIENCE
        )
        assert socket.subprotocol == codec.subprotocol, socket.subprotocol
        return cls(socket, codec)

    @classmethod
    async def welcomed(cls, codec):
        client = await cls.connect(codec)
        await client.send(hello())
        welcome = await client.expect("welcome")
        assert welcome["connectionId"] and welcome["user"], welcome
        assert welcome["limits"]["maxMessageBytes"] > 0, welcome
        return client

    async def send(self, *events):
        await self.socket.send(self.codec.encode(events))

    async def next(self):
        """The next event: its kind and its fields."""
        while not self.waiting:
            self.waiting += self.codec.decode(await asyncio.wait_for(self.socket.recv(), PATIENCE))
        ((kind, fields),) = self.waiting.pop(0).items()
        return kind, fields

    async def expect(self, kind):
        found, fields = await self.next()
        assert found == kind, f"expected {kind}, got {found}: {fields}"
        return fields

    async def subscribe(self, channel):
        await self.send({"subscribe": {"id": 1, "channel": channel}})
        subscribed = await self.expect("subscribed")
        assert (subscribed["id"], subscribed["channel"]) == (1, channel), subscribed
        assert subscribed["verdict"] == "VERDICT_FRESH", subscribed
        return subscribed.get("alias", 0)

    async def closed(self, code, cause):
        """Reads until the close; the last event must be Closing and agree."""
        last = None
        try:
            while True:
                last = await self.next()
        except websockets.ConnectionClosed as end:
            found = end.rcvd.code if end.rcvd else None
        assert found == code, f"expected close {code}, got {found} after {last}"
        assert last and last[0] == "closing", f"no Closing before the close, but {last}"
        assert (last[1]["closeCode"], last[1]["cause"]) == (code, cause), last

    async def close(self):
        await asyncio.wait_for(self.socket.close(), PATIENCE)


def hello(token=None):
    token = GATEWAY["token"] if token is None else token
    return {"hello": {"token": token, "clientName": "interop", "clientVersion": "1"}}


def encoded(payload):
    return base64.b64encode(payload).decode()


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
    payload = encoded(b"are you there?")
    await client.send({"request": {"id": 9, "route": "echo", "payload": payload}})
    assert await client.expect("response") == {"id": 9, "payload": payload}
    await client.close()


async def unknown_route_fails(codec):
    client = await Client.welcomed(codec)
    await client.send({"request": {"id": 9, "route": "nowhere"}})
    response = await client.expect("response")
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
    client = await Client.connect(codec, "?access_token=" + GATEWAY["token"])
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
    address = GATEWAY["grpc_url"].removeprefix("http://")
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        services = database.get_services()
        assert "tidegate.control.v1.PublishService" in services, services
        assert "grpc.health.v1.Health" in services, services
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("tidegate.control.v1.PublishService")
        method = service.methods_by_name["Publish"]
        request = message_factory.GetMessageClass(method.input_type)()
        request.publication.channel = "demo.grpc"
        request.publication.payload = payload
        answer = message_factory.GetMessageClass(method.output_type)
        call = channel.unary_unary(
            f"/{service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        call(request, timeout=PATIENCE)


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


async def main():
    passed = failed = 0
    for codec in (Binary, Json):
        for check in CHECKS:
            name = f"{codec.subprotocol} {check.__name__}"
            try:
                await asyncio.wait_for(check(codec), 3 * PATIENCE)
            except Exception:
                failed += 1
                print(f"FAILED {name}\n{traceback.format_exc()}")
            else:
                passed += 1
                print(f"ok     {name}")
    print(f"python: {passed} passed, {failed} failed")
    return failed


sys.exit(1 if asyncio.run(main()) else 0)
