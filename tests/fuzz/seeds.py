#!/usr/bin/env python3
"""Writes the first inputs of each fuzz target below corpus/, beside what the fuzzer found
(files with other names): the vectors of tests/vectors, and messages written out here.
Run by hand when a target's input changes; the results are committed."""
import json
import os
import re
import struct
import sys
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def put(target, name, data):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)


def block(data):
    """A block as fuzz.h reads it."""
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(data)) + data


def read(*path):
    with open(os.path.join(TOP, *path), "rb") as file:
        return file.read()


def vectors():
    folder = os.path.join(TOP, "tests", "vectors", "stun")
    for name in sorted(os.listdir(folder)):
        text = re.sub(r"#.*", "", read("tests", "vectors", "stun", name).decode())
        yield name.rsplit(".", 1)[0], bytes.fromhex("".join(text.split()))


# ---- RTP and RTCP ----

def rtp(pt=96, seq=1, ssrc=0x0A0A0002, payload=b"", marker=False, csrc=(), ext=None,
        profile=0xBEDE):
    head = struct.pack(">BBHII", 0x80 | (0x10 if ext is not None else 0) | len(csrc),
                       (0x80 if marker else 0) | pt, seq, 3000, ssrc)
    head += b"".join(struct.pack(">I", c) for c in csrc)
    if ext is not None:
        ext += b"\0" * (-len(ext) % 4)
        head += struct.pack(">HH", profile, len(ext) // 4) + ext
    return head + payload


def rtcp(pt, count, body):
    return struct.pack(">BBH", 0x80 | count, pt, len(body) // 4) + body


def words(*values):
    return b"".join(struct.pack(">I", v) for v in values)


BLOCK = words(0x0B0B0001, 0x05000003, 70000, 10, 20, 30)
SR = rtcp(200, 1, words(1, 2, 3, 4, 5, 6) + BLOCK)
RR = rtcp(201, 1, words(1) + BLOCK)
SDES = rtcp(202, 1, words(1) + b"\x01\x04name\0\0")
BYE = rtcp(203, 1, words(1) + b"\x03bye")
PLI = rtcp(206, 1, words(1, 2))
FIR = rtcp(206, 4, words(1, 0, 2, 7 << 24))
NACK = rtcp(205, 1, words(1, 2) + struct.pack(">HHHH", 100, 0x8001, 65530, 0xFF))
REMB = rtcp(206, 15, words(1, 0) + b"REMB\x01" + bytes([(5 << 2) | 1, 0x23, 0x45]) + words(2))
TWCC = rtcp(205, 15, words(1, 2) + struct.pack(">HH", 10, 16) + bytes([0, 1, 2, 3]) +
            struct.pack(">HHH", 0xE540 | 0x8000, 0x2003, 0xA000 | 0x1000) +
            bytes([4, 5, 0xFF, 0xF0, 6, 7, 8, 9, 10, 11]))
TWCC_RUN = rtcp(205, 15, words(1, 2) + struct.pack(">HH", 65530, 8) + bytes([0, 0, 9, 1]) +
                struct.pack(">H", 0x2008) + bytes(range(8)) + b"\0\0")


def wire():
    for name, data in vectors():
        put("stun", name, data)
    put("rtp", "plain", rtp(payload=b"hello"))
    put("rtp", "csrc", rtp(csrc=(1, 2, 3), payload=b"x"))
    put("rtp", "one-byte", rtp(ext=bytes([0x10, 0x30, 0x61, 1, 2, 0xE0, 0x85]),
                               payload=b"x"))
    put("rtp", "two-byte", rtp(ext=bytes([1, 1, 0x30, 20, 0, 0, 9, 3, 1, 2, 3]),
                               profile=0x1000, payload=b"x"))
    put("rtp", "padding", bytes([rtp()[0] | 0x20]) + rtp()[1:] + b"ab\0\0\x04")
    # shape, picture, elements (id, length, bytes), template, mask
    put("exts", "one-byte", bytes([0, 0, 9, 2, 0, 0, 2, 0x30, 0x61, 5, 0, 1, 0x85, 0x62, 0xFF, 0xFE]))
    put("exts", "two-byte", bytes([1, 0, 9, 2, 0, 0, 2, 0x30, 0x61, 6, 0, 20]) + bytes(20) +
        bytes([0x68, 0xFF, 0xFE]))
    put("exts", "dependency", bytes([2, 1, 0, 1, 6, 0, 3, 0xC0, 0, 1, 0x61, 0xFF, 0xFF]) + bytes(range(15)))
    put("rtcp", "report", SR + SDES)
    put("rtcp", "receiver", RR + SDES + BYE)
    put("rtcp", "keyframe", RR + PLI + FIR)
    put("rtcp", "nack-remb", RR + NACK + REMB)
    put("rtcp", "twcc", TWCC)
    put("rtcp", "twcc-run", TWCC_RUN)
    put("rtcp", "app-xr", rtcp(204, 0, words(1) + b"name") + rtcp(207, 0, words(1)))
    put("codec", "vp8", bytes([0x90, 0x80, 0x81, 0x23, 0x10, 0, 0, 0x9D, 1, 0x2A]))
    put("codec", "vp9", bytes([0x9A, 0x81, 0x23, 0x00, 0x18, 0x02, 0x80]))
    put("codec", "h264-stap", bytes([0x78, 0, 4, 0x67, 0x42, 0xE0, 0x1F, 0, 2, 0x68, 0xCE]))
    put("codec", "h264-fu", bytes([0x7C, 0x85, 1, 2, 3]))
    put("codec", "av1", bytes([0x18, 0x0A, 0x0B, 0, 0, 0, 0x24, 0xC4]))

    def packets(codec, *each):
        out = bytes([codec, 100])
        for payload, dd in each:
            out += len(payload).to_bytes(2, "big") + payload + len(dd).to_bytes(2, "big") + dd
            out += bytes([0x80, 0x12, 0x34, 5, 1])
        return out

    # L1T3: templates of three temporal layers, three decode targets
    structure = bytes([0xC0, 0, 1, 0x80, 0x02, 0x15, 0x0A, 0xA0, 0x28, 0x40, 0, 0, 0, 0, 0])
    put("layers", "vp8", packets(2, (bytes([0x90, 0xF0, 0x81, 0x23, 7, 0x25, 0, 1]), b""),
                                 (bytes([0x90, 0xF0, 0x81, 0x24, 7, 0xA5, 1, 1]), b"")))
    put("layers", "vp9", packets(3, (bytes([0xAA, 0x81, 0x23, 0x10, 1, 0x78] + [0] * 30), b""),
                                 (bytes([0xE8, 0x81, 0x24, 0x52, 1, 1, 2]), b"")))
    put("layers", "vp9-flexible", packets(3, (bytes([0xF8, 0x81, 0x23, 0x13, 9, 4, 2, 2]), b"")))
    put("layers", "h264", packets(4, (bytes([0x78, 0, 2, 0x67, 1, 0, 1, 0x68]), b"")))
    put("layers", "av1", packets(5, (bytes([0x18, 1, 2, 3]), structure),
                                 (bytes([0x10, 1, 2, 3]), bytes([0xC1, 0, 2]))))

    # twenty packets, 80 ms, feedback that all came 5 ms apart, a tick; then a REMB
    steps = b""
    for i in range(6):
        fb = struct.pack(">HH", 60000 + 20 * i, 20) + bytes([0, 0, i + 1, i])
        fb += struct.pack(">H", 0x2000 | 20) + bytes([20] * 20)
        fb += bytes(-len(fb) % 4)
        steps += bytes([100, 11]) + (80000).to_bytes(3, "big") + bytes([2, len(fb) // 2]) + fb
        steps += bytes([4])
    put("bwe", "feedback", steps)
    put("bwe", "remb", steps + bytes([3, 0, 7, 0, 0, 4, 158, 255, 255, 255, 255, 4]))


# ---- frames ----

def recorded():
    """Payloads as fuzz_depay reads them: codec, then what is said of each, and it."""
    def packets(codec, *each):
        return bytes([codec - 1]) + b"".join(bytes([how]) + block(data) for how, data in each)

    lost, marker, fresh = 1, 2, 4
    vp8 = bytes([0x10, 2, 0, 0x9D, 1, 0x2A, 0x40, 1, 0xB4, 0])
    vp9 = bytes([0x82, 0x49, 0x83, 0x42, 0, 0x13, 0xF0, 0x0B, 0x30])
    put("depay", "vp8", packets(
        2, (fresh, bytes([0x90, 0xF0, 0x81, 0x23, 5, 0x20]) + vp8), (marker, bytes([0x80, 0x80, 9, 1])),
        (fresh | marker, bytes([0x10, 0x11, 1])), (fresh | marker | lost, b"\x10\x11\x01"),
        (fresh | marker, b"\x10" + vp8)))
    put("depay", "vp9", packets(
        3, (fresh, bytes([0x9A, 0x81, 0x23, 0x18, 1, 0x40, 0, 0xB4, 1, 4, 1]) + vp9),
        (marker, bytes([0x94, 0x81, 0x23, 7])), (fresh, bytes([0xAC, 5, 0, 9]) + vp9),
        (marker, bytes([0xA4, 5, 3, 9, 1, 1])), (fresh | marker, bytes([0xDC, 0x24, 3, 4, 0x86, 1]))))
    put("depay", "h264", packets(
        4, (fresh, bytes([0x78, 0, 3, 0x67, 0x42, 1, 0, 2, 0x68, 0xCE])), (0, bytes([0x7C, 0x85, 1])),
        (0, bytes([0x7C, 5, 1])), (marker, bytes([0x7C, 0x45, 1])), (fresh | marker, b"\x41\x09"),
        (fresh | marker | lost, b"\x65\x01")))
    put("depay", "av1", packets(
        5, (fresh, bytes([0x78, 1, 0x10, 3, 8, 0xAA, 0xBB, 0x30, 1, 2])), (marker, bytes([0x90, 3, 4])),
        (fresh | marker, bytes([0, 3, 0x34, 8, 7, 2, 0x30, 8]))))
    put("depay", "opus", packets(1, (fresh | marker, b"\xfc\x01"), (fresh, b"\xfb\x03\x01"), (fresh, b"")))

    def tap(head, tail, slots_at=4096, n_slots=16, bytes_at=4096 + 1024, n_bytes=4096):
        return struct.pack("<QQQIIIIQQ", 1, slots_at, bytes_at, n_slots, n_bytes, 2, 90000, 1 << 32, 0) + \
            bytes(8) + struct.pack("<QQ", head, tail) + bytes(48)
    def slot(pos, offset=0, ext=5, length=100):
        return struct.pack("<QQQIIHHHBB", pos, pos, 0, 0, offset, ext, length, 0, 1, 127) + bytes(24)
    put("tap", "three", tap(3, 0) + slot(0) + slot(1, 128) + slot(2, 256))
    put("tap", "overtaken", tap(40, 38) + b"".join(slot(32 + i, 64 * i) for i in range(8)))
    put("tap", "beyond", tap(3, 0, n_bytes=64) + slot(0, 60) + slot(1, 1 << 31) + slot(2, 0, 0xFFFF, 0xFFFF))
    put("tap", "no-slots", tap(3, 0, n_slots=0))
    put("tap", "elsewhere", tap(3, 0, slots_at=1 << 60))


def ether(kind, body, to=b"\x02\0\0\0\0\1"):
    return to + b"\x02\0\0\0\0\2" + struct.pack(">H", kind) + body


def ipv4(protocol, body, src=(192, 0, 2, 2), dst=(192, 0, 2, 1)):
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0x4000, 64, protocol, 0) + \
        bytes(src) + bytes(dst) + body


def ipv6(protocol, body, limit=64, dst=None):
    src = b"\xfd" + bytes(14) + b"\2"
    return struct.pack(">IHBB", 0x60000000, len(body), protocol, limit) + src + \
        (dst or b"\xfd" + bytes(14) + b"\1") + body


def frames():
    udp = struct.pack(">HHHH", 40000, 7000, 12, 0) + b"data"
    self6 = b"\xfd" + bytes(14) + b"\1"
    mend = b"\x01"
    put("ether", "udp4", mend + ether(0x0800, ipv4(17, udp)))
    put("ether", "udp6", mend + ether(0x86DD, ipv6(17, udp)))
    put("ether", "arp", mend + ether(0x0806, bytes([0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2,
                                                    192, 0, 2, 2, 0, 0, 0, 0, 0, 0,
                                                    192, 0, 2, 1])))
    put("ether", "ping4", mend + ether(0x0800, ipv4(1, b"\x08\0\0\0\0\1\0\1ping")))
    put("ether", "ping6", mend + ether(0x86DD, ipv6(58, b"\x80\0\0\0\0\1\0\1ping")))
    put("ether", "solicitation", mend + ether(0x86DD, ipv6(
        58, b"\x87\0\0\0\0\0\0\0" + self6 + b"\x01\x01\x02\0\0\0\0\2", 255)))


# ---- control's protocols ----

OPUS = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2,
        "parameters": {"useinbandfec": 1}, "rtcpFeedback": [{"type": "transport-cc"}]}
VP8 = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "parameters": {},
       "rtcpFeedback": [{"type": "nack"}, {"type": "nack", "parameter": "pli"},
                        {"type": "ccm", "parameter": "fir"}, {"type": "goog-remb"}]}
RTX = {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000,
       "parameters": {"apt": 96}}
H264 = {"mimeType": "video/H264", "payloadType": 102, "clockRate": 90000,
        "parameters": {"packetization-mode": 1, "profile-level-id": "42e01f",
                       "level-asymmetry-allowed": 1}}
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
TWCC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
AUDIO = {"mid": "0", "codecs": [OPUS], "headerExtensions": [{"uri": MID, "id": 1},
                                                            {"uri": LEVEL, "id": 10}],
         "encodings": [{"ssrc": 11, "dtx": False}],
         "rtcp": {"cname": "p", "reducedSize": True}}
VIDEO = {"mid": "1", "codecs": [VP8, RTX], "headerExtensions": [{"uri": MID, "id": 9},
                                                                {"uri": TWCC_URI, "id": 3}],
         "encodings": [{"ssrc": 11, "rtx": {"ssrc": 12}, "maxBitrate": 900000,
                        "scalabilityMode": "L1T3"}], "rtcp": {"cname": "p"}}
SIMULCAST = {"mid": "1", "codecs": [H264], "headerExtensions": [{"uri": MID, "id": 4},
                                                                {"uri": RID, "id": 5}],
             "encodings": [{"rid": "q"}, {"rid": "h"}, {"rid": "f"}], "rtcp": {}}


def capability(codec, kind):
    codec = dict(codec, kind=kind)
    codec["preferredPayloadType"] = codec.pop("payloadType")
    return codec


CAPS = {"codecs": [capability(OPUS, "audio"), capability(VP8, "video"),
                   capability(RTX, "video"), capability(H264, "video")],
        "headerExtensions": [{"kind": "video", "uri": TWCC_URI, "preferredId": 3},
                             {"kind": "audio", "uri": MID, "preferredId": 1}]}


def dumps(*values):
    return "\n".join(json.dumps(v, separators=(",", ":")) for v in values)


def protocols():
    put("ortc", "audio", dumps(AUDIO, CAPS))
    put("ortc", "video", dumps(VIDEO, CAPS))
    put("ortc", "simulcast", dumps(SIMULCAST, CAPS))
    put("ortc", "capabilities", dumps(CAPS))
    put("jwt", "claims", dumps({"sub": "u", "exp": 1700000600, "iat": 1700000000,
                                "tenant": "t", "name": "N", "role": "presenter",
                                "meeting_id": "m", "jti": "j"}))
    put("jwt", "campus", dumps({"sub": "u", "exp": 1700000600, "nbf": 1700000001,
                                "campus_id": "c"}))
    put("jwt", "header", '{"alg":"HS256","typ":"JWT","kid":"1"}\n{"sub":"u","exp":1800000000}')
    put("jwt", "none", '{"alg":"none"}\n{"sub":"u","exp":1800000000}')
    put("jwt", "shape", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA")
    for name, text in {
            "connect": '0/meeting,{"token":"x"}', "event": '2/meeting,7["room:join",{"a":1}]',
            "ack": '3/meeting,7[{"ok":true}]', "disconnect": "1/meeting,",
            "error": '4/meeting,{"message":"no"}', "plain": '2["e"]',
            "binary": '51-["e",{"_placeholder":true,"num":0}]',
            "binary-ack": '62-/m,3[{"_placeholder":true,"num":1},'
                          '{"_placeholder":true,"num":0}]'}.items():
        put("socketio", name, text)
    put("socketio", "decoder", b"\xff\0" + block('51-["e",{"_placeholder":true,"num":0}]') +
        b"\1" + block("bytes") + b"\0" + block('2["e"]'))
    put("engineio", "polling", b"\0" + b"\x02" + block("4hello\x1ebAQID\x1e2") + b"\0" +
        b"\x09" + block("out") + b"\x08\x70" + b"\x02" + block("3") + b"\x02" + block("1"))
    put("engineio", "upgrade", b"\x01" + b"\x04" + b"\x05" + block("2probe") + b"\0" +
        b"\x05" + block("5") + b"\x05" + block("4hi") + b"\x06" + block(b"\1\2") + b"\x0b")
    put("engineio", "websocket", b"\x05" + b"\x05" + block("4hello") + b"\x0a" + block("x") +
        b"\x08\x70" + b"\x05" + block("3") + b"\x07")
    # the samples of conf/ are there by symbolic links
    put("conf_dataplane", "lists", "media:\n  devices: [veth, 'udp:192.0.2.1']\n"
        "  announce: [{local: 10.0.0.1, public: 192.0.2.1}]\nlanes: {count: 2, cpus: [0, 1]}\n")
    put("conf_control", "tls", "http: [{port: 8443, tls: {cert: /c, key: /k}}]\n"
        "log: {level: debug}\n")


def ice():
    checks = dict(vectors())
    put("ice", "foreign", b"\0" + block(checks["rfc5769-2.1-request"]))
    # op, kind, first byte of the transaction, number of attributes, each: type, block
    put("ice", "nominate", b"\x01\0\1\1\0" + block("") + b"\x11\0\2\1\1" + block(words(5)))
    put("ice", "several", b"".join(bytes([i << 4 | 1, 0, i, 1, 0]) + block("")
                                   for i in range(6)))
    put("ice", "conflict", b"\x01\x08\1\0" + b"\x01\x02\1\0" + b"\x01\x10\2\0" +
        b"\x01\0\3\1\x17" + block("?"))


def sctp():
    shake = b"\0" * 6
    say = b"\x03\x08\0\x20\0\x01" + b"\x83\0\x20\0\0\x02"
    put("sctp", "good", shake + say + shake)
    put("sctp", "long", shake + b"\x03\x08\x90\0\0\x01" + b"\0" * 20 + b"\x06\x40" + b"\0" * 4)
    put("sctp", "lossy", shake + (say + b"\x02" + b"\0\x06\x30") * 8 + shake)
    put("sctp", "partial", shake + (b"\x03\x25\0\x20\0\x01\x02" + b"\x06\x40\0") * 6 + shake)
    put("sctp", "reset", shake + say + b"\x07\0\x01" + b"\x87\0\x02" + shake + say + shake)
    put("sctp", "abort", shake + say + b"\x0f" + shake)
    put("sctp", "spoiled", shake + say + b"\x04\x03\0\x0c\x07\0\x10\xff\0\x1b\x55" + shake)
    # how, block: SACK, FORWARD TSN, RE-CONFIG, INIT, ERROR, HEARTBEAT
    for name, how, chunk in (
            ("sack", 2, "03000000 00000001 00010000 00020000 00010002 00030004"),
            ("forward", 2, "c0000000 ffffffff 00010002"),
            ("reconfig", 2, "82000000 000d0010 00000001 00000001 00000001"),
            ("init", 3, "01000000 00000001 00020000 04000400 00000001 8008000a c1800082"),
            ("init-endless", 3, "01000000 00000001 00020000 04000400 0000ffff 5f300000 bddc0001"),
            ("error", 2, "09000000 00010008 00010002"),
            ("heartbeat", 2, "04000000 00010028" + "00" * 36)):
        raw = bytes.fromhex(chunk)
        put("sctp", name, shake + b"\x05" + bytes([how]) + block(raw) + shake + say + shake)


def sealed_rtp(which, shape, payload, ext=None):
    data = bytes([1, which, shape | (16 if ext is not None else 0)]) + struct.pack(">H", 1)
    data += b"\0\0"  # one forwards, none back
    if ext is not None:
        data += struct.pack(">H", 0xBEDE) + block(ext + b"\0" * (-len(ext) % 4))
    return data + block(payload) + b"\0"


def sealed_rtcp(sender, compound):
    return bytes([3, sender]) + block(compound) + b"\0"


RUN = b"\5"
KEY = bytes([0x10, 0x50, 0x2A, 0, 0x9D, 1, 0x2A, 0x40, 1, 0xB4, 0, 7])
EXT = bytes([0x31, 0, 7, 0xE0, 0x85, 0x90, 0x30])


def dataplane():
    audio, video, rtx = 0, 5, 10  # stream and payload type, as fuzz_ingress has them
    put("ingress", "media", b"\0" + sealed_rtp(audio, 1, b"hello", EXT) +
        sealed_rtp(video, 1, KEY, EXT) + RUN + sealed_rtp(rtx, 0, b"\x75\x30" + KEY, EXT) +
        sealed_rtp(audio, 2, b"padded") + RUN)
    put("ingress", "feedback", b"\1" + sealed_rtp(video, 1, KEY) + RUN +
        sealed_rtcp(1, SR + SDES) + sealed_rtcp(0, RR + PLI + FIR) +
        sealed_rtcp(0, RR + NACK + REMB) + sealed_rtcp(0, TWCC) + RUN + b"\6\xff\xff" +
        sealed_rtcp(1, BYE) + RUN)
    put("ingress", "checks", b"\2" + b"\4\1\0\0" + b"\4\3\2\0" + RUN + b"\4\7\0\0" +
        b"\4\x11\0\0" + RUN)
    put("ingress", "raw", b"\0" + b"".join(b"\0\0" + block(d) for d in (
        rtp(111, payload=b"x"), SR, b"\x16\xfe\xfd" + bytes(10), b"\xff" * 40)) + RUN +
        b"".join(b"\0\3" + block(d) for _, d in vectors()) + RUN)
    put("ingress", "full", b"\0\x83" + b"\x87" + sealed_rtp(audio, 0, b"x") + RUN +
        b"\6\xff\xff" + sealed_rtp(video, 1, KEY) + RUN)
    put("rtx", "mended", b"\0\2\0\7\5\x0b\7\5\0\x0b\7\5")
    put("rtx", "late-and-twice", b"\x22\0\0\x13\x13\x1b\7\xff\2\0\x0c\0\7\xff\x14\5\0\0\5\xff\xff\7\1")
    put("rtx", "forged", b"\2\0\6\1" + block(KEY) + b"\x0b\7\1\2\0\6\x41" + block(KEY) + b"\x20\7\1"
        b"\6\x81" + block(b"\xff" * 90) + b"\6\1\0\0\6\2\0\0\7\1")
    same = b"\0"
    put("contract", "open", b"\0\x83" + same + b"\2\x82\x03" + same + b"\5\x82\x23" + same +
        b"\x0b" + b"\x08\7\x08" + b"\x08\4\x03" + b"\x08\x0a\x0e" + b"\x0b")
    put("contract", "update", b"\1\1" + same + b"\4\1\1" + same + b"\7\1\x12" + same + b"\x0b")
    put("contract", "patched", b"\0\x84\1" + struct.pack(">H", 8) + block(b"\1\0\0\0\4\4") +
        b"\2\xa2\1\1" + struct.pack(">H", 30) + block(b"\0\x60") + b"\x0b")
    put("contract", "live", b"\x0a\x0c" + struct.pack(">H", 0) + block(b"\xff" * 8) + b"\x0b" +
        b"\x0a\1" + struct.pack(">H", 16) + block(b"\xff" * 8) + b"\x0b")


def event(name, payload, user=0, ack=1):
    text = "42/meeting,%d%s" % (ack, json.dumps([name, payload], separators=(",", ":")))
    return bytes([user * 16 + 1]) + block(text)


def legacy(name, payload, user=0):
    text = "42" + json.dumps([name, payload], separators=(",", ":"))
    return bytes([user * 16 + 1]) + block(text)


SERVE = b"\x0f"
ENTER = b"\6"


def signaling():
    dtls = {"role": "auto", "fingerprints": [
        {"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]}
    create = event("transport:create", {"direction": "send"}) + SERVE
    connect = event("transport:connect", {"transport_id": "$t0", "dtls_parameters": dtls})
    produce = event("produce", {"transport_id": "$t0", "kind": "video", "source": "camera",
                                "rtp_parameters": VIDEO}) + SERVE
    put("signal", "connect", b"\0\0\1" + block("40/meeting,{\"token\":\"$j0\"}") +
        event("room:join", {"meeting_id": "m", "display_name": "N"}) +
        event("room:leave", {}) + b"\x01" + block("41/meeting,") + b"\x01" + block("1"))
    put("signal", "produce", b"\0" + ENTER + create + connect + b"\x0c\0" + SERVE + b"\x0b\1" +
        block(b"\x16\xfe\xfd" + bytes(20)) + produce +
        event("produce:pause", {"producer_id": "$p0"}) +
        event("produce:resume", {"producer_id": "$p0"}) + SERVE +
        event("produce:close", {"producer_id": "$p0"}) + SERVE +
        event("transport:close", {"transport_id": "$t0"}) + SERVE)
    put("signal", "consume", b"\0" + ENTER + create + produce + b"\x16" +
        event("transport:create", {"direction": "recv"}, 1) + SERVE +
        event("consume", {"transport_id": "$t0", "producer_id": "$p0",
                          "rtp_capabilities": CAPS}, 1) + SERVE +
        event("consumer:resume", {"consumer_id": "$c0"}, 1) +
        event("consumer:pause", {"consumer_id": "$c0"}, 1) + SERVE +
        event("consumer:close", {"consumer_id": "$c0"}, 1) + SERVE + b"\x09")
    put("signal", "polling", b"\1\7\0\0" + block("") + b"\7\x81\2" +
        block('40/meeting,{"token":"$j1"}') + b"\7\x81\0" + block("") + b"\7\x89\0" +
        block("") + b"\x08")
    put("signal", "refused", b"\0" + ENTER + b"\x0a\2" + event("produce", {"kind": "?"}) +
        event("chat:send", None) + event("transport:create", {"direction": "send"}) +
        b"\x0a\2" + SERVE)
    # a legacy client sends, the one of another dialect receives, and the other way round
    put("signal", "legacy", b"\0\x0d\x16" +
        legacy("create-transport", {"meetingId": "m", "direction": "send"}) + SERVE +
        legacy("connect-transport", {"transportId": "$t0", "dtlsParameters": dtls}) +
        legacy("produce", {"meetingId": "m", "kind": "video", "rtpParameters": VIDEO,
                           "requestId": "1", "appData": {"source": "screen", "x": [1, {}]}}) +
        SERVE + legacy("create-transport", {"meetingId": "m", "direction": "recv"}) + SERVE +
        legacy("consume", {"producerParticipantId": "$u0", "producerId": "$p0",
                           "kind": "video", "rtpCapabilities": CAPS}) + SERVE +
        legacy("resume-consumer", {"consumerId": "$c0"}) +
        legacy("send-message", {"text": "?"}) + legacy("raise-hand", {"raised": True}) +
        legacy("close-producer", {"producerId": "$p0"}) + SERVE +
        legacy("leave-meeting", {"meetingId": "m"}) + b"\x01" + block("41"))
    put("signal", "attachment", b"\0" + ENTER +
        b"\1" + block('451-/meeting,["room:leave",{"_placeholder":true,"num":0}]') +
        b"\5" + block("data"))
    put("media", "life", b"\0" + b"\x0b\0\0" + b"\4\x0b" + b"\0\1\4\x0b\0\2\4\x0b" +
        b"\2\x00\2\x08\2\x10\2\x18\2\x20\4\x0b" + b"\5\2\0\5\3\1\x0b" +
        b"\6\0\0\0" + block("") + b"\x0a" + b"\2\x28\2\x30\2\x38\4\x0b")
    put("media", "welcome", b"\1\0\0\4" + block(words(2)))
    put("media", "fds", b"\x18" + struct.pack(">H", 40) + b"\2")
    put("media", "header", b"\2" + b"\0\0\x40" + block(words(9)))
    put("media", "vault", b"\4" + b"\0\x10\0" + block(b"\2" + bytes(127) + b"\0\0\0\0\1") +
        b"\x0b\4\x0b")


def frame(op, data, fin=True):
    size = bytes([0x80 | len(data)] if len(data) < 126 else [0xfe, *divmod(len(data), 256)])
    return bytes([(0x80 if fin else 0) | op]) + size + bytes(4) + data


def listener():
    upgrade = (b"GET /s?EIO=4 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    put("http", "get", block(b"GET /a/../b?q=1%20x HTTP/1.1\r\nHost: x\r\n\r\n"))
    put("http", "file", block(b"GET /index.html?q=f HTTP/1.1\r\nHost: x\r\n"
                              b"x-custom: 1\r\n\r\n"))
    put("http", "post", block(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe") +
        block(b"lloGET / HTTP/1.1\r\nHost: x\r\nx-custom: y\r\n\r\n"))
    put("http", "chunked", block(b"POST /p HTTP/1.1\r\nHost: x\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"))
    put("http", "hidden", block(b"GET /p HTTP/1.1\r\nHost: x\r\nm: 1\r\nContent-Length: 5\r\n\r\nhello"))
    put("http", "no-first-line", block(b"Host: " + b"x" * 3000 + b"\r\nGET /p HTTP/1.1\n\n"))
    put("http", "websocket", block(upgrade) + block(frame(1, b"hello") + frame(2, b"\1\2")) +
        block(frame(1, b"he", False) + frame(9, b"p") + frame(0, b"y")) +
        block(frame(8, b"\3\xe8")))
    put("http", "closes", block(upgrade) + block(frame(1, b"x")))
    def h2(kind, flags, stream, payload=b""):  # as fuzz_h2 says it
        return bytes([0, kind, flags, stream]) + block(payload)

    def ask(stream, method, target, *more, flags=5):  # HPACK (RFC 7541), nothing indexed
        fields = (b":method", method), (b":path", target), *more
        return h2(1, flags, stream, b"\x87\x01\x01t" + b"".join(
            b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v for n, v in fields))

    put("h2", "requests", b"\1" + ask(1, b"GET", b"/a/../b?q=1%20x") +
        ask(3, b"GET", b"/key?q=f", (b"range", b"bytes=1-9")) +
        ask(5, b"HEAD", b"/", (b"x-custom", b"y")) + ask(7, b"GET", b"/%00?%00"))
    put("h2", "body", b"\1" + ask(1, b"POST", b"/p", (b"content-length", b"5"), flags=4) +
        h2(0, 0, 1, b"he") + h2(0, 9, 1, b"\2llo\0\0") +
        ask(3, b"PUT", b"/p", flags=4) + h2(0, 1, 3, b"x" * 4000))
    put("h2", "held", b"\1" + ask(1, b"GET", b"/?q=h") + ask(3, b"GET", b"/?q=h") +
        h2(3, 0, 1, b"\0\0\0\x08") + ask(5, b"GET", b"/?q=r") + ask(7, b"GET", b"/?q=h"))
    put("h2", "windows", b"\1" + h2(4, 0, 0, b"\0\4\0\0\0\0") + ask(1, b"GET", b"/key?q=f") +
        h2(8, 0, 1, b"\0\0\0\5") + h2(8, 0, 0, b"\x7f\xff\xff\xff") + h2(3, 0, 1, bytes(4)))
    put("h2", "continued", b"\1" + h2(1, 1, 1, b"\x82\x87\x84\x01") + h2(9, 4, 1, b"\1t") +
        h2(6, 0, 0, b"pingpong") + h2(2, 0, 1, bytes(5)) + h2(7, 0, 0, bytes(8)))
    put("h2", "connect", b"\1" + ask(1, b"CONNECT", b"/s", (b":protocol", b"websocket")) +
        ask(2, b"GET", b"/") + ask(3, b"GET", b"x", (b"Upper", b"1")))
    put("h2", "no-preface", b"\0\1" + block(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    step = b"\x02"  # three bytes a piece
    put("ws_frame", "messages", step + frame(1, "κόσμε".encode()) + frame(2, b"\xff" * 300) +
        frame(9, b"ping") + frame(10, b"") + frame(1, b""))
    put("ws_frame", "fragments", step + frame(1, b"\xce", fin=False) + frame(9, b"p") +
        frame(0, b"\xba", fin=False) + frame(0, b""))
    put("ws_frame", "close", step + frame(8, b"\x03\xe8bye") + frame(1, b"late"))
    put("ws_frame", "too-big", step + frame(2, b"x" * 4000, fin=False) +
        frame(0, b"x" * 4000))
    put("ws_frame", "spoilt", step + frame(1, b"\xed", fin=False) + frame(0, b"\xa0\x80"))
    # 0x80: compression is agreed on; 0x40 in a head: compressed
    packed = b"\x82"
    put("ws_frame", "packed", packed + frame(0x41, b"\xf2\x48\xcd\xc9\xc9\x07\0") +
        frame(0x42, b"\xf2\x48\x05\0\0\0\xff\xff", fin=False) + frame(9, b"p") +
        frame(0, b"\xca\xc9\xc9\x07\0") + frame(1, b"plain") +
        frame(0x41, b"\xf3\x48\xcd\xc9\xc9\x07\0\xf2\0\x11\0\0") + frame(0x42, b"\0"))
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(20000)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    put("ws_frame", "bomb", packed + frame(0x42, bomb[:-4]))
    put("ws_frame", "packed-spoilt", packed + frame(0x41, b"\0\2\0\xfd\xff\xc3\x28\0"))
    # role of our side, then what happens to each datagram (fuzz_dtls)
    put("dtls", "handshake-server", b"\0")
    put("dtls", "handshake-client", b"\1")
    put("dtls", "cookie-from-elsewhere", b"\x10\0\0\0\0\1\0\0\0\1")
    put("dtls", "client-of-few-checks", b"\x21\xa0")
    put("dtls", "lost-and-repeated", b"\0\1\2\2\1\2\5\5\2")
    put("dtls", "cut-and-changed", b"\1\0\3\0\x40\4\1\0\x0d\xff" + b"\0" * 8)
    put("dtls", "forged", b"\0" + b"\6" + block(b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28") +
        b"\6" + block(b"\x16\xfe\xfd" + bytes(8) + b"\0\x0c\1" + bytes(11)))
    put("dtls", "raw", b"\2" + block(b"\x16\xfe\xff" + bytes(8) + b"\0\x0c\1" + bytes(11)) +
        block(b"\x14\xfe\xfd" + bytes(8) + b"\0\1\1") + block(b"\x17\xfe\xfd\0\1" + bytes(6) +
                                                             b"\0\4abcd"))
    alpn = b"\0\x10\0\x0e\0\x0c\x02h2\x08http/1.1"
    offer = (b"\3\3" + bytes(32) + b"\0\0\2\x13\1\1\0" +
             struct.pack(">H", len(alpn) + 5) + b"\xfa\xfa\0\1\0" + alpn)
    offer = b"\1" + struct.pack(">I", len(offer))[1:] + offer
    put("first_words", "h2", b"\x16\3\1" + struct.pack(">H", len(offer)) + offer)
    put("first_words", "half", b"\x16\3\1" + struct.pack(">H", len(offer)) + offer[:50])
    put("first_words", "http", b"GET / HTTP/1.1\r\n\r\n"[1:])
    put("first_words", "path", b"\1/a/./b/../%2e%2e//c%20d?x=1&y=%41+b&z")
    put("first_words", "spoilt", b"\1/a/%4")
    put("hello", "true", b"\1")
    put("hello", "busy", b"\3")
    put("hello", "patched", b"\1\4" + block(b"\2"))
    put("hello", "vault", b"\x05")
    put("hello", "short-vault", b"\x0d" + struct.pack(">H", 5000))
    put("hello", "unsealed", b"\x15\3")
    put("hello", "other-vault", b"\x25\0" + block(b"\0"))
    put("hello", "raw", b"\0" + block(b"hello"))
    def spoil(slot, at, data):
        return b"\1" + bytes([slot]) + struct.pack(">H", at) + block(data)
    put("vault", "control-died", b"\3")
    put("vault", "dataplane-died", b"\2\2")
    put("vault", "closed", b"\1\7\0")
    put("vault", "duplicates", b"\x32" + b"\0\x0d" + b"\0\x1c" + b"\0\x2c")
    put("vault", "gone", b"\x31" + spoil(9, 0, bytes(8)) + spoil(5, 0, bytes(8)) +
        spoil(1, 0, bytes(8)) + b"\2")
    put("vault", "live", b"\x20" + spoil(8, 1600, b"\xff" * 8) + spoil(2, 2200, b"\xff" * 16) +
        b"\2")
    put("loop", "commands", b"\0\4\0\0\x0a\1\x08\x05\7\x08")
    put("loop", "datagrams", b"\1" + struct.pack(">H", 60) + block(b"\0\1") + b"\1" +
        struct.pack(">H", 56) + block(b"\xff\xff\xff\xff") + b"\x08")
    put("loop", "rings", b"\2\4" + words(0xFFFFFFFF) + b"\x08\2\7" + words(9) + b"\7\2\1" +
        words(77) + b"\x08")
    put("loop", "records", b"\3\1" + struct.pack(">H", 64) + block(b"\1\0\0\0\2") + b"\5" +
        b"\4\4" + struct.pack(">H", 0) + block(b"\7") + b"\5\7\x08")


def lanes():
    def op(kind, lane=0, peer=0):  # as fuzz_lanes has them
        return bytes([kind + 16 * lane + 48 * peer])
    def turn(*order):
        return b"".join(op(0, lane) for lane in order)
    speak, all_ = op(5), op(4)
    put("lanes", "stream", (speak * 3 + all_) * 5)
    put("lanes", "subscriber-moves", speak * 4 + turn(0) + op(8, 2, 1) + turn(0, 0, 1, 2) +
        speak * 4 + turn(0, 2, 1, 2) + op(8, 1, 1) + speak + turn(0, 0, 0, 2, 1))
    put("lanes", "publisher-moves", speak * 4 + op(8, 1, 0) + turn(0, 1, 2) + speak * 4 +
        turn(2, 0, 1) + op(8, 2, 0) + speak * 4 + turn(1, 0, 2, 1, 0) + all_)
    put("lanes", "all-move", b"".join(
        speak + op(8, (i + p) % 3, p) + turn(i % 3, p % 3)
        for i in range(3) for p in range(3)))
    put("lanes", "come-and-go", op(11, 2, 3) + speak * 3 + turn(0, 1) + op(11, 0, 4) +
        op(11, 0, 1) + speak * 3 + turn(2, 0) + op(11, 1, 1) + op(11, 0, 3) + speak)
    put("lanes", "deaths", speak * 3 + turn(0) + op(8, 2, 1) + turn(0) + op(13, 1) + all_ +
        speak * 3 + op(8, 1, 0) + turn(0, 1) + op(13, 0) + speak + all_)
    put("lanes", "full-device", op(14, 1, 2) + speak * 6 + all_ + op(14, 1, 0) + speak + all_)
    put("lanes", "hostile", speak + op(15) + b"\x07\x00\x01" + turn(0, 1) + op(15) +
        b"\x1c\x10\x02" + op(15) + b"\x08\x50\x00" + speak + all_ + op(15) +
        b"\x10\xff" + bytes(8) + b"\x03" + op(13, 0) + speak + all_)


def restored():
    def resume(user, token):
        connect = '40/meeting,{"token":"$j%d"}' % user
        return bytes([user * 16]) + bytes([user * 16 + 1]) + block(connect) + event(
            "room:join", {"meeting_id": "m", "display_name": "N",
                          "resume_token": "$r%d" % token}, user)

    def spoil(slot, at, data):
        return b"\1" + bytes([slot]) + struct.pack(">H", at) + block(data)
    def text(value):
        return bytes([len(value)]) + value.encode()
    codec = bytes([1, 2, 96, 97, 101, 102, 2]) + text("x") + b"\1" + bytes(8) + text("y") + \
        b"\0" + text("z")
    put("record", "stream", b"S\1" + text("tag") + b"\0\1\2" + text("1") + text("c") +
        bytes(12) + b"\1" + codec + bytes(12) + text("q") + text("L1T3") + b"\0")
    put("record", "sub", b"C\1" + text("tag") + b"\2" + text("c") + text("L1T3") + bytes(4) +
        b"\1" + bytes([0, 101, 102, 3]))
    put("restore", "resume", b"\0" + resume(0, 1) + resume(1, 1) + SERVE +
        event("produce:close", {"producer_id": "$p0"}) + SERVE)
    put("restore", "leave", b"\1" + resume(1, 0) + event("room:leave", {}, 1) + SERVE + b"\x06")
    put("restore", "check", b"\0" + b"\x0c\0" + b"\x0b\1" + block(b"\x16\xfe\xfd" + bytes(20)))
    put("restore", "peer-blob", b"\x10" + spoil(0, 392 + 8 + 2, b"\xff\xff") + resume(0, 1))
    put("restore", "stream-blob", b"\x20" + spoil(4, 96 + 8 + 24, b"\xff") +
        spoil(5, 96 + 8, b"?") + resume(0, 1) + resume(1, 1))
    put("restore", "sub-blob", b"\x10" + spoil(12, 120 + 8 + 24, b"\xff\xff\xff") + resume(1, 0))
    put("restore", "duplicates", b"\x30\0\x0d\0\x1c\0\x2c" + resume(0, 1))


def main():
    for make in (restored, wire, recorded, frames, protocols, ice, sctp, dataplane, signaling, listener,
                 lanes):
        make()
    return 0


if __name__ == "__main__":
    sys.exit(main())
