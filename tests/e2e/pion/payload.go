package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// Payload i of a track: for video what a VP8 key frame begins with, then the number, then
// noise that follows from number and kind. Number 0 is for warming up and is not counted.
func payload(kind string, i int) []byte {
	size := 40 + (i*37)%60
	var out []byte

	if kind == "video" {
		size = 200 + (i*131)%900
		out = append(out, 0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00)
	}
	out = binary.BigEndian.AppendUint32(out, uint32(i))
	x := uint32(i)*2654435761 + uint32(len(kind)*len(kind)+int(kind[0]))
	for len(out) < size {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out = append(out, byte(x))
	}
	return out
}

func number(kind string, data []byte) int {
	if kind == "video" {
		if len(data) < 15 {
			return -1
		}
		data = data[11:]
	}
	if len(data) < 4 {
		return -1
	}
	return int(binary.BigEndian.Uint32(data))
}

const window = 30 // payloads of a track on their way

type tally struct {
	kind                                 string
	mutex                                sync.Mutex
	warm                                 bool
	seen                                 map[int]bool
	last                                 int
	count, duplicates, disorder, damaged int
}

func (t *tally) take(data []byte) {
	i := number(t.kind, data)

	t.mutex.Lock()
	defer t.mutex.Unlock()
	if i < 0 || i > opt.n || !bytes.Equal(data, payload(t.kind, i)) {
		t.damaged++
		return
	}
	if i == 0 {
		t.warm = true
		return
	}
	if t.seen[i] {
		t.duplicates++
		return
	}
	if i < t.last {
		t.disorder++
	}
	t.seen[i] = true
	t.last = i
	t.count++
}

func (t *tally) done() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.count == opt.n
}

// near tells whether all but the newest have come: with more on its way a busy machine
// would lose some in the buffers of sockets.
func (t *tally) near(i int) bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.last >= i-window
}

func (t *tally) ready() bool {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.warm
}

// sink is one subscriber.
type sink struct {
	name         string
	audio, video tally
	close        func()
}

func (s *sink) tallies() []*tally {
	if opt.audio {
		return []*tally{&s.audio}
	}
	return []*tally{&s.audio, &s.video}
}

func newSink(name string, pc *webrtc.PeerConnection) *sink {
	s := &sink{name: name, audio: tally{kind: "audio", seen: map[int]bool{}},
		video: tally{kind: "video", seen: map[int]bool{}}}

	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		into := &s.audio
		if track.Kind() == webrtc.RTPCodecTypeVideo {
			into = &s.video
		}
		for {
			packet, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			into.take(packet.Payload)
		}
	})
	return s
}

type publisher struct {
	pc           *webrtc.PeerConnection
	url          string
	etag         func() string
	audio, video *webrtc.TrackLocalStaticRTP
	midway       func() // called when half was sent
	dtls         func() string
	close        func()
}

func (p *publisher) write(kind string, track *webrtc.TrackLocalStaticRTP, seq uint16, step uint32, i int) {
	check(track.WriteRTP(&rtp.Packet{
		Header: rtp.Header{Version: 2, SequenceNumber: seq, Timestamp: uint32(seq) * step,
			Marker: true},
		Payload: payload(kind, i)}), "write")
}

func all(sinks []*sink, ask func(*tally) bool) bool {
	for _, s := range sinks {
		for _, t := range s.tallies() {
			if !ask(t) {
				return false
			}
		}
	}
	return true
}

// send warms up until every subscriber has got something, then sends what counts, and waits
// until all have come, or nothing does any more.
func (p *publisher) send(sinks []*sink) {
	var seq uint16 = 65000 // it wraps in the midst
	deadline := time.Now().Add(time.Duration(opt.wait) * time.Second)

	for !all(sinks, (*tally).ready) {
		if time.Now().After(deadline) {
			check(fmt.Errorf("a subscriber gets nothing"), "warming up")
		}
		p.write("audio", p.audio, seq, 960, 0)
		p.write("video", p.video, seq, 3000, 0)
		seq++
		time.Sleep(20 * time.Millisecond)
	}
	deadline = time.Now().Add(time.Duration(opt.wait+opt.n/100) * time.Second)
	for i := 1; i <= opt.n; i++ {
		p.write("audio", p.audio, seq, 960, i)
		p.write("video", p.video, seq, 3000, i)
		seq++
		if i%2 == 0 {
			time.Sleep(2 * time.Millisecond)
		}
		for !all(sinks, func(t *tally) bool { return t.near(i) }) {
			if time.Now().After(deadline) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if i == opt.n/2 && p.midway != nil {
			p.midway()
		}
	}
	awaitAll(sinks)
}

// awaitOthers says 'ready' when all get what somebody else publishes, and waits for the rest.
func awaitOthers(sinks []*sink) {
	deadline := time.Now().Add(time.Duration(opt.wait) * time.Second)

	for !all(sinks, (*tally).ready) && time.Now().Before(deadline) {
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Println("ready")
	opt.wait += opt.n / 100
	awaitAll(sinks)
}

func awaitAll(sinks []*sink) {
	deadline := time.Now().Add(time.Duration(opt.wait) * time.Second)

	for !all(sinks, (*tally).done) && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond) // what comes twice comes late
}
