"""What the Python scripts beside this file share: a client that nobody here wrote
(the package websockets), gRPC by reflection, and a way to run checks.

All scripts are called with the same arguments: ANNOUNCEMENT PROTO SCRATCH.
ANNOUNCEMENT holds the lines of JSON by which `tidegate dev --json` or `tidegate
cluster --json` says where it serves, PROTO is the folder of the .proto files,
SCRATCH a folder for the code generated from them. Events are written as the
protobuf JSON mapping has them; the two codecs below bring them into the form of
each subprotocol.
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

ANNOUNCED = [json.loads(line) for line in sys.argv[1].splitlines()]
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

    # Where clients connect, and as whom, unless a call says otherwise.
    url = token = None

    def __init__(self, socket, codec):
        self.socket, self.codec, self.waiting = socket, codec, []

    @classmethod
    async def connect(cls, codec, url=None):
        socket = await websockets.connect(
            url or cls.url, subprotocols=[codec.subprotocol], open_timeout=PATIENCE
        )
        assert socket.subprotocol == codec.subprotocol, socket.subprotocol
        return cls(socket, codec)

    @classmethod
    async def welcomed(cls, codec, url=None):
        client = await cls.connect(codec, url)
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

    async def request(self, route, payload=b""):
        """The response to a request."""
        request = {"id": 9, "route": route, "payload": encoded(payload)}
        await self.send({"request": request})
        response = await self.expect("response")
        assert response["id"] == 9, response
        return response

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
    token = Client.token if token is None else token
    return {"hello": {"token": token, "clientName": "interop", "clientVersion": "1"}}


def encoded(payload):
    return base64.b64encode(payload).decode()


def services(grpc_url):
    """The names of the services there, as reflection has them."""
    with grpc.insecure_channel(grpc_url.removeprefix("http://")) as channel:
        return ProtoReflectionDescriptorDatabase(channel).get_services()


def call(grpc_url, method, fields):
    """Calls a method of tidegate.control.v1, such as "PublishService/Publish",
    with nothing but what reflection tells about it."""
    service_name, method_name = method.split("/")
    with grpc.insecure_channel(grpc_url.removeprefix("http://")) as channel:
        pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName(f"tidegate.control.v1.{service_name}")
        found = service.methods_by_name[method_name]
        request = message_factory.GetMessageClass(found.input_type)
        answer = message_factory.GetMessageClass(found.output_type)
        unary = channel.unary_unary(
            f"/{service.full_name}/{found.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        answered = unary(json_format.ParseDict(fields, request()), timeout=PATIENCE)
        return json_format.MessageToDict(answered)


async def run(name, checks):
    """Runs all of (name, function without arguments); exits with 1 if any fails."""
    passed = failed = 0
    for title, check in checks:
        try:
            await asyncio.wait_for(check(), 3 * PATIENCE)
        except Exception:
            failed += 1
            print(f"FAILED {title}\n{traceback.format_exc()}", flush=True)
        else:
            passed += 1
            print(f"ok     {title}", flush=True)
    print(f"{name}: {passed} passed, {failed} failed")
    return 1 if failed else 0
