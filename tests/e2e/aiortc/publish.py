"""A foreign client for the tests: aiortc publishes N known payloads of Opus by WHIP.

usage: publish.py --origin URL --meeting M --token T --n N --srtp gcm|cm80

Prints 'connected', sends payload 0 over and over until a line comes in, then payloads 1 to N
(the same as tests/e2e/pion makes), prints 'sent', and ends with the next line.
"""

import argparse
import asyncio
import fractions
import sys

import aiohttp
import av
from aiortc import RTCPeerConnection, RTCSessionDescription, rtcdtlstransport
from aiortc.mediastreams import MediaStreamTrack

PERIOD_S = 0.002
MASK = 0xFFFFFFFF


def payload(i):
    size = 40 + (i * 37) % 60
    out = bytearray(i.to_bytes(4, "big"))
    x = (i * 2654435761 + 5 * 5 + ord("a")) & MASK
    while len(out) < size:
        x ^= (x << 13) & MASK
        x ^= x >> 17
        x ^= (x << 5) & MASK
        out.append(x & 0xFF)
    return bytes(out)


class Track(MediaStreamTrack):
    """Gives packets instead of frames, so that nothing is encoded."""

    kind = "audio"

    def __init__(self, n):
        super().__init__()
        self.n = n
        self.i = 0
        self.pts = 0
        self.begun = False
        self.sent = asyncio.Event()

    async def recv(self):
        await asyncio.sleep(PERIOD_S)
        if self.begun and self.i == self.n:
            self.sent.set()
            await asyncio.Event().wait()
        if self.begun:
            self.i += 1
        packet = av.Packet(payload(self.i))
        packet.pts = self.pts
        packet.time_base = fractions.Fraction(1, 48000)
        self.pts += 960
        return packet


async def line():
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def main():
    parser = argparse.ArgumentParser()
    for name in ("origin", "meeting", "token", "srtp"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--n", type=int, required=True)
    args = parser.parse_args()
    want = b"SRTP_AEAD_AES_128_GCM" if args.srtp == "gcm" else b"SRTP_AES128_CM_SHA1_80"
    rtcdtlstransport.SRTP_PROFILES[:] = [
        p for p in rtcdtlstransport.SRTP_PROFILES if p.openssl_profile == want]
    assert len(rtcdtlstransport.SRTP_PROFILES) == 1

    pc = RTCPeerConnection()
    track = Track(args.n)
    up = asyncio.Event()
    pc.on("connectionstatechange", lambda: pc.connectionState == "connected" and up.set())
    pc.addTransceiver(track, direction="sendonly")
    await pc.setLocalDescription(await pc.createOffer())
    headers = {"Authorization": f"Bearer {args.token}", "Content-Type": "application/sdp"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"{args.origin}/api/whip/{args.meeting}"
        async with http.post(url, data=pc.localDescription.sdp) as response:
            body = await response.text()
            assert response.status == 201, f"{response.status} {body}"
            session = response.headers["Location"]
        await pc.setRemoteDescription(RTCSessionDescription(sdp=body, type="answer"))
        await asyncio.wait_for(up.wait(), 30)
        print("connected", flush=True)
        await line()
        track.begun = True
        await track.sent.wait()
        print("sent", flush=True)
        await line()
        await http.delete(f"{args.origin}{session}")
    await pc.close()


asyncio.run(main())
