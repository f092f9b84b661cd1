// Browsers in a room set up data channels between each other. Tidegate tells them who
// is there and carries offers, answers and candidates; what they say then goes directly.
//
// Everything about Tidegate is here, in JSON over a plain WebSocket: a Hello, a Subscribe
// that asks for presence, and Signal. Sessions and not connections are addressed, as they
// survive a reconnect.

const query = new URLSearchParams(location.search);
const gateway = query.get("gateway") ?? "ws://127.0.0.1:7400/v1/ws";
const token = query.get("token") ?? "";
const room = query.get("room") ?? "demo.call";

/** Connections to the others, by their sessions. */
const peers = new Map();
let ourselves = "";
let lastId = 1;

const socket = new WebSocket(gateway, "tidegate.v1.json");
const send = (...events) => socket.send(JSON.stringify({ events }));

socket.onopen = () =>
  send(
    { hello: { token, clientName: "webrtc-example" } },
    { subscribe: { id: 1, channel: room, options: { presence: true } } },
  );
socket.onclose = ({ code, reason }) => log(`Tidegate: closed (${code} ${reason})`);
socket.onmessage = async ({ data }) => {
  for (const event of JSON.parse(data).events) await handle(event);
};

async function handle(event) {
  if (event.welcome) {
    ourselves = event.welcome.sessionId;
    log(`Tidegate: connected as ${event.welcome.user}`);
  } else if (event.presenceChange) {
    const { snapshot = false, joined = [], left = [] } = event.presenceChange;
    for (const { sessionId } of left) forget(sessionId);
    if (snapshot) {
      const there = new Set(joined.map(({ sessionId }) => sessionId));
      for (const session of peers.keys()) if (!there.has(session)) forget(session);
    }
    for (const { sessionId } of joined) {
      // One of two has to call: the one whose session is smaller.
      if (ourselves < sessionId && !peers.has(sessionId)) await call(sessionId);
    }
  } else if (event.signalled) {
    await hear(event.signalled.from.sessionId, JSON.parse(atob(event.signalled.payload)));
  } else if (event.error) {
    log(`Tidegate: ${event.error.failure.message}`);
  }
}

/** Sends something to one session in the room. */
function signal(sessionId, message) {
  if (socket.readyState !== WebSocket.OPEN) return;
  lastId += 1;
  send({ signal: { id: lastId, channel: room, sessionId, payload: btoa(JSON.stringify(message)) } });
}

async function call(session) {
  const peer = open(session);
  adopt(session, peer.connection.createDataChannel("talk"));
  await peer.connection.setLocalDescription();
  signal(session, { description: peer.connection.localDescription });
}

/** A connection that may come to be. */
function open(session) {
  const peer = { connection: new RTCPeerConnection(), channel: null, early: [] };
  peers.set(session, peer);
  peer.connection.onicecandidate = ({ candidate }) => candidate && signal(session, { candidate });
  peer.connection.ondatachannel = ({ channel }) => adopt(session, channel);
  return peer;
}

async function hear(session, { description, candidate }) {
  const peer = peers.get(session) ?? open(session);
  if (candidate) {
    // It may overtake the description that it belongs to.
    if (!peer.connection.remoteDescription) peer.early.push(candidate);
    else await peer.connection.addIceCandidate(candidate);
    return;
  }
  await peer.connection.setRemoteDescription(description);
  for (const early of peer.early.splice(0)) await peer.connection.addIceCandidate(early);
  if (description.type === "offer") {
    await peer.connection.setLocalDescription();
    signal(session, { description: peer.connection.localDescription });
  }
}

/** Uses a data channel to talk. */
function adopt(session, channel) {
  const name = session.slice(-4);
  peers.get(session).channel = channel;
  channel.onmessage = ({ data }) => log(`${name}: ${data}`);
  channel.onopen = () => {
    log(`${name}: a direct connection`);
    show();
  };
  channel.onclose = () => forget(session);
}

function forget(session) {
  const peer = peers.get(session);
  if (!peer) return;
  // Whoever left Tidegate may still be talking to us.
  if (peer.channel?.readyState === "open" && socket.readyState === WebSocket.OPEN) return;
  peers.delete(session);
  peer.connection.close();
  show();
}

function channels() {
  const all = [...peers.values()].map(({ channel }) => channel);
  return all.filter((channel) => channel?.readyState === "open");
}

function show() {
  const count = channels().length;
  document.querySelector("#state").textContent = `Connected to ${count} directly.`;
}

function log(text) {
  const line = document.createElement("li");
  line.textContent = text;
  document.querySelector("#log").append(line);
  line.scrollIntoView();
}

document.querySelector("#say").onsubmit = (event) => {
  event.preventDefault();
  const input = document.querySelector("#text");
  for (const channel of channels()) channel.send(input.value);
  log(`you: ${input.value}`);
  input.value = "";
};
document.querySelector("#leave").onclick = () => socket.close(1000);
