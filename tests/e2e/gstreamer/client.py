"""A foreign client for the tests: GStreamer's webrtcbin publishes test pictures and a tone by
WHIP, or watches by WHEP and decodes.

usage: client.py --origin URL --meeting M --token T (--publish h264|vp8 | --watch h264|vp8)

Prints a line of JSON when it is connected, and when its standard input ends, another with
what it has decoded.
"""

import argparse
import json
import sys
import threading
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

WIDTH, HEIGHT, FPS = 320, 240, 15
RTP = {
    "h264": "application/x-rtp,media=video,encoding-name=H264,clock-rate=90000,payload=96,"
            "packetization-mode=(string)1,profile-level-id=(string)42e01f",
    "vp8": "application/x-rtp,media=video,encoding-name=VP8,clock-rate=90000,payload=96",
    "opus": "application/x-rtp,media=audio,encoding-name=OPUS,clock-rate=48000,payload=97,"
            "encoding-params=(string)2",
}
ENCODE = {
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast bitrate=500 key-int-max=300 ! "
            "video/x-h264,profile=constrained-baseline ! "
            "rtph264pay config-interval=-1 aggregate-mode=zero-latency pt=96",
    "vp8": "vp8enc deadline=1 target-bitrate=500000 keyframe-max-dist=300 ! rtpvp8pay pt=96",
}


class Client:
    def __init__(self, args):
        self.args = args
        self.loop = GLib.MainLoop()
        self.session = None
        self.frames, self.size = 0, None
        self.offered = False
        if args.publish:
            self.pipe = Gst.parse_launch(
                "webrtcbin name=w "
                f"videotestsrc is-live=true pattern=ball ! video/x-raw,width={WIDTH},"
                f"height={HEIGHT},framerate={FPS}/1 ! videoconvert ! {ENCODE[args.publish]} ! w. "
                "audiotestsrc is-live=true wave=ticks ! audioconvert ! opusenc ! "
                "rtpopuspay pt=97 ! w.")
        else:
            self.pipe = Gst.Pipeline()
            self.pipe.add(Gst.ElementFactory.make("webrtcbin", "w"))
        self.bin = self.pipe.get_by_name("w")
        self.bin.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
        self.bin.connect("notify::ice-gathering-state", self.on_gathering)
        self.bin.connect("notify::connection-state", self.on_connection)
        self.bin.connect("pad-added", self.on_pad)
        self.bin.connect("on-negotiation-needed", self.on_needed)
        bus = self.pipe.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, m: self.fail(str(m.parse_error())))
        if args.watch:
            for caps in (RTP["opus"], RTP[args.watch]):
                self.bin.emit("add-transceiver",
                              GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY,
                              Gst.Caps.from_string(caps))

    def fail(self, text):
        print(f"client.py: {text}", file=sys.stderr, flush=True)
        GLib.idle_add(self.loop.quit)

    # ---- the description goes to and fro ----

    def on_needed(self, _):
        if self.args.publish:
            i = 0
            while (t := self.bin.emit("get-transceiver", i)) is not None:
                t.set_property("direction", GstWebRTC.WebRTCRTPTransceiverDirection.SENDONLY)
                i += 1
        self.bin.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))

    def on_offer(self, promise):
        promise.wait()
        reply = promise.get_reply()  # it owns the offer
        self.bin.emit("set-local-description", reply.get_value("offer"), Gst.Promise.new())

    def on_gathering(self, *_):
        state = self.bin.get_property("ice-gathering-state")
        if state == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not self.offered:
            self.offered = True
            text = self.bin.get_property("local-description").sdp.as_text()
            threading.Thread(target=self.post, args=(text,), daemon=True).start()

    def request(self, method, url, body=None):
        request = urllib.request.Request(url, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self.args.token}")
        if body is not None:
            request.add_header("Content-Type", "application/sdp")
        return urllib.request.urlopen(request)

    def post(self, offer):
        kind = "whip" if self.args.publish else "whep"
        try:
            with self.request("POST", f"{self.args.origin}/api/{kind}/{self.args.meeting}",
                              offer.encode()) as response:
                answer = response.read().decode()
                self.session = self.args.origin + response.headers["Location"]
        except urllib.error.HTTPError as error:
            self.fail(f"{error} {error.read().decode()}\n{offer}")
            return
        _, sdp = GstSdp.SDPMessage.new_from_text(answer)
        answer = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, sdp)
        self.bin.emit("set-remote-description", answer, Gst.Promise.new())

    def on_connection(self, *_):
        state = self.bin.get_property("connection-state")
        if state == GstWebRTC.WebRTCPeerConnectionState.CONNECTED:
            print(json.dumps({"session": self.session}), flush=True)
        elif state == GstWebRTC.WebRTCPeerConnectionState.FAILED:
            self.fail("the connection failed")

    # ---- what comes ----

    def on_pad(self, _, pad):
        if pad.direction != Gst.PadDirection.SRC:
            return
        decode = Gst.ElementFactory.make("decodebin")
        decode.connect("pad-added", self.on_decoded)
        self.pipe.add(decode)
        decode.sync_state_with_parent()
        pad.link(decode.get_static_pad("sink"))

    def on_decoded(self, _, pad):
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        video = pad.get_current_caps().to_string().startswith("video/")
        self.pipe.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))
        if video:
            pad.add_probe(Gst.PadProbeType.BUFFER, self.on_frame)

    def on_frame(self, pad, _):
        caps = pad.get_current_caps().get_structure(0)
        self.size = [caps.get_value("width"), caps.get_value("height")]
        self.frames += 1
        return Gst.PadProbeReturn.OK

    def wait_for_end(self):
        sys.stdin.read()
        GLib.idle_add(self.loop.quit)

    def run(self):
        threading.Thread(target=self.wait_for_end, daemon=True).start()
        self.pipe.set_state(Gst.State.PLAYING)
        self.loop.run()
        if self.session:
            self.request("DELETE", self.session).close()
        print(json.dumps({"frames": self.frames, "size": self.size}), flush=True)
        self.pipe.set_state(Gst.State.NULL)


parser = argparse.ArgumentParser()
for name in ("origin", "meeting", "token"):
    parser.add_argument(f"--{name}", required=True)
parser.add_argument("--publish", choices=("h264", "vp8"))
parser.add_argument("--watch", choices=("h264", "vp8"))
Gst.init(None)
Client(parser.parse_args()).run()
