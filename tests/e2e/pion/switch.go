package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Clients that go on until their standard input ends, for what a viewer is shown:
//
// --stay publish: sends audio and video that name their sender (--tag, one letter) with a key
// frame whenever one is asked for. Lines of input: "loud", "quiet" (what the audio level says),
// "mute" (no packets of audio).
//
// --stay watch: prints a line of JSON whenever what comes of a kind is of another sender, and
// at the end what became of numbers, times and header extensions.

const (
	levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	midURI   = "urn:ietf:params:rtp-hdrext:sdes:mid"
	timeURI  = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
	twccURI  = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)

func say(v any) {
	line, _ := json.Marshal(v)
	fmt.Println(string(line))
}

func tagged(key bool, video bool) []byte {
	if !video {
		return []byte{opt.tag[0], 1, 2, 3}
	}
	head := []byte{0x10, 0x11, 0x02, 0x00}
	if key {
		head = []byte{0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}
	}
	return append(head, opt.tag[0], 4, 5, 6)
}

func tagOf(payload []byte, video bool) (string, bool) {
	at, key := 0, true
	if video {
		key = payload[1]&1 == 0
		at = 4
		if key {
			at = 11
		}
	}
	if len(payload) <= at {
		return "?", false
	}
	return string(payload[at]), key
}

func stayPublisher() {
	var loud, mute, wanted atomic.Bool

	wanted.Store(true)
	p := publishWhip()
	senders := p.pc.GetSenders()
	level := uint8(0)
	for _, sender := range senders {
		for _, ext := range sender.GetParameters().HeaderExtensions {
			if ext.URI == levelURI {
				level = uint8(ext.ID)
			}
		}
		go func(sender *webrtc.RTPSender) {
			for {
				packets, _, err := sender.ReadRTCP()
				if err != nil {
					return
				}
				for _, packet := range packets {
					switch packet.(type) {
					case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
						wanted.Store(true)
					}
				}
			}
		}(sender)
	}
	say(object{"session": p.url, "etag": p.etag(), "level": level})
	done := make(chan struct{})
	go func() {
		in := bufio.NewScanner(os.Stdin)
		for in.Scan() {
			switch in.Text() {
			case "loud", "quiet":
				loud.Store(in.Text() == "loud")
			case "mute":
				mute.Store(true)
			}
		}
		close(done)
	}()
	// numbers and times of each sender begin elsewhere
	seq := uint16(opt.tag[0]) * 771
	ts := uint32(opt.tag[0]) * 77777777
	tick := time.NewTicker(20 * time.Millisecond)
	for i := uint32(0); ; i++ {
		select {
		case <-done:
			leaving.Store(true)
			p.close()
			return
		case <-tick.C:
		}
		packet := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: seq + uint16(i),
			Timestamp: ts + i*960}, Payload: tagged(false, false)}
		if level != 0 {
			value := byte(127)
			if loud.Load() {
				value = 0x80 | 20
			}
			check(packet.SetExtension(level, []byte{value}), "level")
		}
		if !mute.Load() {
			check(p.audio.WriteRTP(packet), "write")
		}
		key := wanted.CompareAndSwap(true, false)
		check(p.video.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, Marker: true,
			SequenceNumber: seq + 9000 + uint16(i), Timestamp: ts + 5 + i*1800},
			Payload: tagged(key, true)}), "write")
	}
}

// came is what a viewer has got of one kind.
type came struct {
	mutex                                      sync.Mutex
	From                                       string `json:"from"`
	Packets, Gaps, Back, Bad, Ssrcs, Restarted int
	MaxStep                                    uint32
	Exts                                       map[string]int `json:"exts"`
	Mid                                        string         `json:"mid"`
	last                                       uint16
	lastTs                                     uint32
}

func (c *came) take(packet *rtp.Packet, video bool, kind string, ids map[string]uint8, ssrc uint32) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	from, key := tagOf(packet.Payload, video)
	if c.Packets > 0 {
		if step := packet.SequenceNumber - c.last; step != 1 {
			c.Gaps++
		}
		step := packet.Timestamp - c.lastTs
		if int32(step) <= 0 {
			c.Back++
		} else if step > c.MaxStep {
			c.MaxStep = step
		}
	}
	if from != c.From {
		if !key {
			c.Bad++ // a picture that leans on what was not sent
		}
		say(object{"kind": kind, "from": from, "ssrc": ssrc})
	}
	c.From, c.last, c.lastTs = from, packet.SequenceNumber, packet.Timestamp
	c.Packets++
	for uri, id := range ids {
		if value := packet.GetExtension(id); value != nil {
			c.Exts[uri]++
			if uri == midURI {
				c.Mid = string(value)
			}
		}
	}
}

// newViewer knows header extensions, and sends the feedback that goes with them.
func newViewer() *webrtc.PeerConnection {
	var media webrtc.MediaEngine
	registry := &interceptor.Registry{}

	check(media.RegisterDefaultCodecs(), "codecs")
	check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: levelURI},
		webrtc.RTPCodecTypeAudio), "extension")
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		for _, uri := range []string{timeURI, midURI} {
			check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri},
				kind), "extension")
		}
	}
	check(webrtc.ConfigureTWCCSender(&media, registry), "transport-cc")
	check(webrtc.ConfigureRTCPReports(registry), "reports")
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings()),
		webrtc.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err, "peer connection")
	return pc
}

func stayWatcher() {
	pc := newViewer()
	up := connected(pc)
	all := map[string]*came{"audio": {Exts: map[string]int{}}, "video": {Exts: map[string]int{}}}

	pc.OnTrack(func(track *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		kind := track.Kind().String()
		into := all[kind]
		ids := map[string]uint8{}

		for _, ext := range receiver.GetParameters().HeaderExtensions {
			ids[ext.URI] = uint8(ext.ID)
		}
		into.mutex.Lock()
		into.Ssrcs++
		into.mutex.Unlock()
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			into.take(packet, kind == "video", kind, ids, uint32(track.SSRC()))
		}
	})
	ask := watch
	if opt.counter {
		ask = watchCounter
	}
	r := ask(pc, up)
	say(object{"session": r.url, "etag": r.etag, "extmaps": strings.Count(r.sdp, "a=extmap:")})
	_, _ = io.Copy(io.Discard, os.Stdin)
	leaving.Store(true)
	say(all)
	if !opt.keep {
		r.delete()
	}
	pc.Close()
}
