// Clients of a media server, ours or another, for `tools/bench wire --peer`: one that sends
// numbered packets of VP8, and many that receive them. What a receiver costs is kept small by a
// filter on its socket, in the kernel: of media only each 61st number comes through. Those are
// decrypted and compared.
//
// Reads lines "RATE SECONDS" from its standard input: sends so many packets a second for so
// long, and writes a line of JSON that says what came of it. The first line that it writes says
// that all are connected.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

const (
	frameLen  = 9  // packets of a picture, sent at once: 2.5 Mb/s at 30 of them a second
	sampled   = 61 // as in wire_sample.bpf.c
	headerLen = 12
	settle    = 400 * time.Millisecond
	patience  = 30 * time.Second
)

var opt struct {
	server, url, token, room, netns, local, key, secret string
	subscribers, size                                   int
}

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "clients of %s: %s: %v\n", opt.server, what, err)
		os.Exit(1)
	}
}

func say(what any) {
	line, err := json.Marshal(what)
	check(err, "JSON")
	fmt.Println(string(line))
}

// newPeer makes a peer connection on a socket of its own, without interceptors: it asks for
// nothing again, and tells nobody what it has not got, so that no server sends less to it.
func newPeer(receives bool) *webrtc.PeerConnection {
	var media webrtc.MediaEngine
	var settings webrtc.SettingEngine

	check(media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8, ClockRate: 90000,
			RTCPFeedback: []webrtc.RTCPFeedback{{Type: "ccm", Parameter: "fir"}, {Type: "nack", Parameter: "pli"}}},
		PayloadType: 96}, webrtc.RTPCodecTypeVideo), "codec")
	check(media.RegisterCodec(webrtc.RTPCodecParameters{
		RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2},
		PayloadType:        111}, webrtc.RTPCodecTypeAudio), "codec")
	check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{
		URI: "urn:ietf:params:rtp-hdrext:sdes:mid"}, webrtc.RTPCodecTypeVideo), "extension")
	settings.SetSRTPProtectionProfiles(profile)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetICEUDPMux(webrtc.NewICEUDPMux(nil, listen(receives)))
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{})).NewPeerConnection(webrtc.Configuration{})
	check(err, "peer connection")
	return pc
}

func connected(pc *webrtc.PeerConnection) chan struct{} {
	done := make(chan struct{})
	var once sync.Once

	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		switch state {
		case webrtc.PeerConnectionStateConnected:
			once.Do(func() { close(done) })
		case webrtc.PeerConnectionStateFailed:
			check(fmt.Errorf("a connection failed"), "media")
		}
	})
	return done
}

func await(done chan struct{}, what string) {
	select {
	case <-done:
	case <-time.After(patience):
		check(fmt.Errorf("not within %v", patience), what)
	}
}

func gathered(pc *webrtc.PeerConnection, d webrtc.SessionDescription) string {
	done := webrtc.GatheringCompletePromise(pc)
	check(pc.SetLocalDescription(d), "local description")
	<-done
	return pc.LocalDescription().SDP
}

func newTrack() *webrtc.TrackLocalStaticRTP {
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "bench")
	check(err, "track")
	return track
}

// ---- what is sent ----

// payload is that of packet n: a picture each frameLen packets, the first of a second a key frame.
func payload(n uint64, key bool, out []byte) []byte {
	first := n%frameLen == 0

	for i := range out {
		out[i] = byte(n) + byte(i)
	}
	out[0] = 0
	if first {
		out[0] = 0x10 // RFC 7741, section 4.2: the start of a partition
		copy(out[1:], []byte{1, 0, 0})
		if key {
			copy(out[1:], []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01}) // 640 x 360
		}
	}
	binary.BigEndian.PutUint64(out[16:], n)
	return out
}

var start = time.Now()

type publisher struct {
	track *webrtc.TrackLocalStaticRTP
	next  uint64
}

func (p *publisher) send(rate float64, long time.Duration) time.Duration {
	pictures := int(math.Round(rate * long.Seconds() / frameLen))
	gap := time.Duration(float64(time.Second) * frameLen / rate)
	began := time.Now()
	buf := make([]byte, opt.size-headerLen)
	keyAt := int(math.Max(1, rate/frameLen))

	for i := 0; i < pictures; i++ {
		if wait := time.Until(began.Add(time.Duration(i) * gap)); wait > 0 {
			time.Sleep(wait)
		}
		stamp := uint32(time.Since(start).Seconds() * 90000)
		for k := 0; k < frameLen; k++ {
			check(p.track.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: uint16(p.next),
				Timestamp: stamp, Marker: k == frameLen-1},
				Payload: payload(p.next, i%keyAt == 0, buf)}), "send")
			p.next++
		}
	}
	return time.Since(began)
}

// ---- what is received ----

type receiver struct {
	mutex      sync.Mutex
	got, wrong int
	known      bool
	offset     uint16 // of the server's numbers
}

func (r *receiver) read(track *webrtc.TrackRemote) {
	want := make([]byte, opt.size-headerLen)

	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			return
		}
		if len(packet.Payload) < 24 {
			continue // padding
		}
		n := binary.BigEndian.Uint64(packet.Payload[16:])
		payload(n, true, want)
		copy(want[:16], packet.Payload) // what tells of the picture servers may write anew
		r.mutex.Lock()
		r.got++
		if string(want) != string(packet.Payload) {
			r.wrong++
		}
		r.known, r.offset = true, packet.SequenceNumber-uint16(n)
		r.mutex.Unlock()
	}
}

// expected is how many of the packets [from, to) have a number that the filter lets through.
func (r *receiver) expected(from, to uint64) (n int) {
	for i := from; i < to; i++ {
		if (uint16(i)+r.offset)%sampled == 0 {
			n++
		}
	}
	return n
}

type result struct {
	Sent      uint64  `json:"sent"`
	Seconds   float64 `json:"seconds"`
	Expected  int     `json:"expected"`
	Got       int     `json:"got"`
	Wrong     int     `json:"wrong"`
	Receivers int     `json:"receivers"`
}

func measure(p *publisher, receivers []*receiver, rate float64, long time.Duration) {
	from := p.next
	for _, r := range receivers {
		r.mutex.Lock()
		r.got, r.wrong = 0, 0
		r.mutex.Unlock()
	}
	took := p.send(rate, long)
	time.Sleep(settle)
	out := result{Sent: p.next - from, Seconds: took.Seconds()}
	for _, r := range receivers {
		r.mutex.Lock()
		out.Expected += r.expected(from, p.next)
		out.Got += r.got
		out.Wrong += r.wrong
		if r.known {
			out.Receivers++
		}
		r.mutex.Unlock()
	}
	say(out)
}

func main() {
	flag.StringVar(&opt.server, "server", "", "kcs, janus, livekit, or floor")
	flag.StringVar(&opt.url, "url", "", "where it is asked")
	flag.StringVar(&opt.token, "token", "", "kcs: of a presenter")
	flag.StringVar(&opt.room, "room", "bench", "the room")
	flag.StringVar(&opt.netns, "netns", "", "file of the network namespace of the sockets for media")
	flag.StringVar(&opt.local, "local", "127.0.0.1", "address of these sockets")
	flag.StringVar(&opt.key, "key", "", "livekit: name of its key")
	flag.StringVar(&opt.secret, "secret", "", "livekit: the key")
	flag.IntVar(&opt.subscribers, "subscribers", 50, "receivers")
	flag.IntVar(&opt.size, "size", 1200, "bytes of an RTP packet")
	flag.Parse()
	if opt.server == "floor" {
		floor()
		return
	}
	server, ok := servers[opt.server]
	if !ok {
		check(fmt.Errorf("'%s' is none", opt.server), "--server")
	}
	p := &publisher{track: newTrack()}
	session := server(p.track)
	receivers := []*receiver{}
	var seen atomic.Int64
	for i := 0; i < opt.subscribers; i++ {
		r := &receiver{}
		receivers = append(receivers, r)
		session(i, func(track *webrtc.TrackRemote) {
			if track.Kind() == webrtc.RTPCodecTypeVideo {
				seen.Add(1)
				go r.read(track)
			}
		})
	}
	p.send(300, 2*time.Second) // until all know where the numbers are
	say(map[string]any{"connected": opt.subscribers, "seen": seen.Load()})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var rate, seconds float64

		if n, _ := fmt.Sscan(lines.Text(), &rate, &seconds); n != 2 || rate <= 0 || seconds <= 0 {
			check(fmt.Errorf("'%s'", lines.Text()), "a line of input")
		}
		measure(p, receivers, rate, time.Duration(seconds*float64(time.Second)))
	}
}
