"""A foreign client for the tests: aiortc publishes pictures by WHIP, or watches by WHEP.

usage: video.py --as publisher|viewer --origin URL --meeting M --token T [--relay PORT]

Each picture shows its number. Prints 'connected', and when its input ends, as one line of
JSON, what was decoded, sent again and estimated.
"""

import argparse
import asyncio
import fractions
import json
import re
import sys

import aiohttp
from aiortc import (MediaStreamTrack, RTCPeerConnection, RTCSessionDescription, rtcrtpreceiver,
                    rtcrtpsender)
from av import VideoFrame

WIDTH, HEIGHT, BITS, RATE = 320, 240, 16, 15
counts = {"sent": 0, "repairs_sent": 0, "repairs_got": 0, "rembs_got": 0, "rembs_sent": 0,
          "remb": 0}


def counted(module, name, note):
    """Has 'note' called with what this function of aiortc returns."""
    original = getattr(module, name)

    def wrapper(*args, **kwargs):
        result = original(*args, **kwargs)
        note(result, args)
        return result

    setattr(module, name, wrapper)


def count(key):
    def note(*_):
        counts[key] += 1
    return note


def told(result, _):
    counts["rembs_got"] += 1
    counts["remb"] = result[0]


counted(rtcrtpsender, "wrap_rtx", count("repairs_sent"))
counted(rtcrtpreceiver, "unwrap_rtx", count("repairs_got"))
counted(rtcrtpreceiver, "pack_remb_fci", count("rembs_sent"))
counted(rtcrtpsender, "unpack_remb_fci", told)


class Pictures(MediaStreamTrack):
    kind = "video"

    def __init__(self):
        super().__init__()
        self.begun = None

    async def recv(self):
        loop = asyncio.get_running_loop()
        n = counts["sent"]
        self.begun = self.begun or loop.time()
        await asyncio.sleep(max(0, self.begun + n / RATE - loop.time()))
        counts["sent"] += 1
        frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
        luma = frame.planes[0]
        step = WIDTH // BITS
        row = b"".join(bytes([235 if n >> i & 1 else 16]) * step for i in range(BITS))
        luma.update(row.ljust(luma.line_size, b"\0") * HEIGHT)
        for plane in frame.planes[1:]:
            plane.update(bytes([128]) * plane.buffer_size)
        frame.pts = n * 90000 // RATE
        frame.time_base = fractions.Fraction(1, 90000)
        return frame


def number(frame):
    luma = frame.planes[0]
    step = WIDTH // BITS
    middle = luma.line_size * (HEIGHT // 2)
    row = bytes(luma)[middle:middle + WIDTH]
    return sum((row[i * step + step // 2] > 126) << i for i in range(BITS))


async def look(track, seen):
    while True:
        frame = await track.recv()
        seen.append(number(frame))


async def main():
    parser = argparse.ArgumentParser()
    for name in ("as", "origin", "meeting", "token"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--relay", type=int)
    args = parser.parse_args()
    pc = RTCPeerConnection()
    up = asyncio.Event()
    seen = []
    tasks = []
    pc.on("connectionstatechange", lambda: pc.connectionState == "connected" and up.set())
    publishes = getattr(args, "as") == "publisher"
    if publishes:
        pc.addTransceiver(Pictures(), direction="sendonly")
    else:
        pc.addTransceiver("audio", direction="recvonly")
        pc.addTransceiver("video", direction="recvonly")
        pc.on("track", lambda track: track.kind == "video" and tasks.append(
            asyncio.ensure_future(look(track, seen))))
    await pc.setLocalDescription(await pc.createOffer())
    headers = {"Authorization": f"Bearer {args.token}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{args.origin}/api/{'whip' if publishes else 'whep'}/{args.meeting}"
        async with http.post(url, data=pc.localDescription.sdp) as response:
            body = await response.text()
            assert response.status == 201, f"{response.status} {body}"
            session = response.headers["Location"]
        if args.relay:
            body = re.sub(r"(a=candidate:[^\r]*\r\n)+", "a=candidate:1 1 udp 2130706431 127.0.0.1 "
                          f"{args.relay} typ host\r\n", body)
        await pc.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
        await asyncio.wait_for(up.wait(), 30)
        print("connected", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        for task in tasks:
            task.cancel()
        print(json.dumps({**counts, "seen": seen}), flush=True)
        await http.delete(f"{args.origin}{session}")
    await pc.close()


asyncio.run(main())
