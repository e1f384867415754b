"""A TCP proxy that behaves badly when told to. All proxies live in one thread with an event loop; what is called here may be
called from any thread.

A misbehaviour is switched on and off. What it did is counted where it did it, in `happened`: a cut that met no connection, or
a half-open link over which nobody sent anything, has not happened.
"""
import asyncio
import collections
import random
import socket
import struct
import threading

_READ_BYTES = 16384
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST and drops what was not sent

_loop = None


def _the_loop():
    global _loop
    if _loop is None:
        _loop = asyncio.new_event_loop()
        threading.Thread(target=_loop.run_forever, name="proxies", daemon=True).start()
    return _loop


class Proxy:
    """Listens on a free port of 127.0.0.1 and connects each client to `upstream`, a port of 127.0.0.1, or one of several:
    whichever answers first when they are tried in an order drawn for each client."""

    def __init__(self, name, upstream, port, seed):
        self.name = name
        self.upstream = upstream if isinstance(upstream, list) else [upstream]
        self.port = port
        self.happened = collections.Counter()
        self._chance = random.Random(f"{seed} {name}")
        self._connections = set()
        self._delay_s = 0.0      # each piece is held back for between 0 and this
        self._bytes_per_s = 0    # of each direction of each connection; 0: no limit
        self._cutting = False    # connections are cut after a random number of bytes
        self._silent = ()        # directions in which bytes vanish: "up" is from the client
        asyncio.run_coroutine_threadsafe(self._listen(), _the_loop()).result(10)

    def delay(self, seconds):
        self._delay_s = seconds

    def throttle(self, bytes_per_s):
        self._bytes_per_s = bytes_per_s

    def cut(self, on):
        """While on, every connection ends in the middle of something, with FIN or RST."""
        def arm():
            self._cutting = on
            for one in self._connections:
                one.arm(on)
        _the_loop().call_soon_threadsafe(arm)

    def half_open(self, directions):
        """Bytes of these directions vanish; who sends them learns nothing. () ends it: connections that lost bytes are
        reset then, as by a firewall that has forgotten them."""
        def switch():
            self._silent = directions
            if not directions:
                for one in list(self._connections):
                    if one.lost_bytes:
                        one.end(reset=True)
        _the_loop().call_soon_threadsafe(switch)

    def behave(self):
        self.delay(0)
        self.throttle(0)
        self.cut(False)
        self.half_open(())

    async def _listen(self):
        await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1000)

    async def _serve(self, reader, writer):
        # Clients wait in vain for a connection that a dead link cannot make, too.
        while self._silent and not reader.at_eof():
            self.happened["half-open"] += 1
            await asyncio.sleep(0.2)
        for port in self._chance.sample(self.upstream, len(self.upstream)):
            try:
                up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
                break
            except OSError:
                pass
        else:
            _close(writer, reset=True)
            return
        connection = _Connection(self, writer, up_writer)
        self._connections.add(connection)
        try:
            await asyncio.gather(connection.pump(reader, up_writer, "up"), connection.pump(up_reader, writer, "down"))
        finally:
            self._connections.discard(connection)
            connection.end(reset=False)


class _Connection:
    def __init__(self, proxy, client, server):
        self._proxy = proxy
        self._ends = (client, server)
        self._cut_after = None  # bytes
        self.lost_bytes = False
        self.arm(proxy._cutting)

    def arm(self, on):
        # Small answers and the head of a request as often as the middle of an upload.
        self._cut_after = int(2 ** self._proxy._chance.uniform(0, 17)) if on else None

    def end(self, reset):
        for writer in self._ends:
            _close(writer, reset)

    async def pump(self, reader, writer, direction):
        proxy = self._proxy
        try:
            while data := await reader.read(_READ_BYTES):
                if proxy._delay_s:
                    proxy.happened["delay"] += 1
                    await asyncio.sleep(proxy._chance.uniform(0, proxy._delay_s))
                if proxy._bytes_per_s:
                    proxy.happened["throttle"] += 1
                    await asyncio.sleep(len(data) / proxy._bytes_per_s)
                if direction in proxy._silent or self.lost_bytes:
                    proxy.happened["half-open"] += 1
                    self.lost_bytes = True  # what came later would be a stream with a hole
                    continue
                if self._cut_after is not None and self._cut_after < len(data):
                    proxy.happened["cut"] += 1
                    writer.write(data[:self._cut_after])
                    await asyncio.sleep(0)
                    self.end(reset=proxy._chance.random() < 0.5)
                    return
                if self._cut_after is not None:
                    self._cut_after -= len(data)
                writer.write(data)
                await writer.drain()
            if not self.lost_bytes:
                writer.write_eof()
        except (OSError, RuntimeError):  # the other direction has ended the connection
            self.end(reset=True)


def _close(writer, reset):
    """FIN, after what was written; or RST at once."""
    try:
        if reset:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        else:
            writer.close()
    except (OSError, AttributeError):
        pass
