#!/usr/bin/env python3
"""A TCP proxy that shows which API versions Kafka clients choose.

It passes every byte on unchanged and reads only the head of each request (KIP-482 and before alike): length, API key,
version, correlation id, client id. The server must advertise the proxy's address, or clients leave after bootstrap.

    api_versions_proxy.py --log FILE LISTEN:TO...

Each pair is two ports of 127.0.0.1: where clients connect, and where a server listens. FILE gets one line as soon as a connection uses an API in a version for the first time:

    <connection number> <API> <version> <client id>
"""

import argparse
import asyncio
import contextlib
import itertools
import struct

NAMES = {
    0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit", 9: "OffsetFetch",
    10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat", 13: "LeaveGroup", 14: "SyncGroup", 15: "DescribeGroups",
    16: "ListGroups", 17: "SaslHandshake", 18: "ApiVersions", 19: "CreateTopics", 20: "DeleteTopics",
    21: "DeleteRecords", 22: "InitProducerId", 23: "OffsetForLeaderEpoch", 24: "AddPartitionsToTxn",
    25: "AddOffsetsToTxn", 26: "EndTxn", 28: "TxnOffsetCommit", 29: "DescribeAcls", 30: "CreateAcls", 31: "DeleteAcls",
    32: "DescribeConfigs", 33: "AlterConfigs", 35: "DescribeLogDirs", 36: "SaslAuthenticate", 37: "CreatePartitions", 42: "DeleteGroups",
    43: "ElectLeaders", 44: "IncrementalAlterConfigs", 45: "AlterPartitionReassignments", 46: "ListPartitionReassignments", 47: "OffsetDelete", 48: "DescribeClientQuotas",
    50: "DescribeUserScramCredentials", 55: "DescribeQuorum", 60: "DescribeCluster",
    61: "DescribeProducers", 65: "DescribeTransactions", 66: "ListTransactions", 68: "ConsumerGroupHeartbeat",
    69: "ConsumerGroupDescribe", 71: "GetTelemetrySubscriptions", 72: "PushTelemetry", 74: "ListConfigResources",
    75: "DescribeTopicPartitions", 76: "ShareGroupHeartbeat",
}
HEAD = 4 + 2 + 2 + 4 + 2  # length, API key, version, correlation id, length of the client id
LONGEST_CLIENT_ID = 200


class RequestHeads:
    """Finds the request heads in a stream that arrives in arbitrary pieces."""

    def __init__(self, on_head):
        self.on_head = on_head
        self.pending = bytearray()
        self.skip = 0

    def feed(self, data):
        view = memoryview(data)
        while len(view):
            if self.skip:
                skipped = min(self.skip, len(view))
                view = view[skipped:]
                self.skip -= skipped
                continue
            self.pending.append(view[0])
            view = view[1:]
            self.take_head()

    def take_head(self):
        if len(self.pending) < HEAD:
            return
        length, key, version, _, id_length = struct.unpack_from(">ihhih", self.pending)
        id_length = min(max(id_length, 0), LONGEST_CLIENT_ID, max(length + 4 - HEAD, 0))
        if len(self.pending) < HEAD + id_length:
            return
        self.on_head(key, version, bytes(self.pending[HEAD:HEAD + id_length]).decode(errors="replace"))
        self.skip = max(length + 4 - len(self.pending), 0)
        self.pending.clear()


class Proxy:
    connections = itertools.count(1)

    def __init__(self, port, log):
        self.port = port
        self.log = log

    async def serve(self, client_reader, client_writer):
        number = next(self.connections)
        seen = set()

        def on_head(key, version, client_id):
            if (key, version) not in seen:
                seen.add((key, version))
                print(number, NAMES.get(key, key), version, client_id.replace("\n", " "), file=self.log, flush=True)

        heads = RequestHeads(on_head)
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            client_writer.close()
            return
        await asyncio.gather(self.pump(client_reader, server_writer, heads.feed),
                             self.pump(server_reader, client_writer, None))

    @staticmethod
    async def pump(reader, writer, look):
        try:
            while data := await reader.read(65536):
                if look:
                    look(data)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            # One side has closed: closing the other ends the opposite pump too.
            writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", required=True, help="file to append to")
    parser.add_argument("pairs", nargs="+", metavar="LISTEN:TO")
    options = parser.parse_args()
    with open(options.log, "a", encoding="utf-8") as log:
        async with contextlib.AsyncExitStack() as servers:
            for pair in options.pairs:
                listen, to = map(int, pair.split(":"))
                await servers.enter_async_context(await asyncio.start_server(Proxy(to, log).serve, "127.0.0.1", listen))
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
