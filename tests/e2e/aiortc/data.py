"""A foreign client for the tests: a transport of data channels, told what to do by lines of JSON
as the one of tests/e2e/pion/data.go is."""

import asyncio
import base64
import json
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription


def say(**what):
    print(json.dumps(what), flush=True)


def opened(pc, line):
    number = line["open"]
    channel = pc.createDataChannel("kcs", negotiated=True, id=number, ordered=line["ordered"])

    @channel.on("message")
    def came(data):
        data = data.encode() if isinstance(data, str) else data
        say(**{"from": number, "data": base64.b64encode(data).decode()})

    if channel.readyState == "open":
        say(opened=number)
    else:
        channel.on("open", lambda: say(opened=number))
    return channel


async def main():
    pc = RTCPeerConnection()
    channels = {}
    loop = asyncio.get_running_loop()
    say(ready=True)
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        line = json.loads(text)
        if "offer" in line:
            await pc.setRemoteDescription(RTCSessionDescription(sdp=line["offer"], type="offer"))
            await pc.setLocalDescription(await pc.createAnswer())
            say(answer=pc.localDescription.sdp)
        elif "open" in line:
            channels[line["open"]] = opened(pc, line)
        else:
            channels[line["send"]].send(base64.b64decode(line["data"]))
    await pc.close()


asyncio.run(main())
