package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/sdp/v3"
	"github.com/pion/webrtc/v4"
)

// Clients with all that Pion has for a bad link, until their standard input ends:
//
// --stay send: publishes by WHIP, with NACK, RTX and transport-cc, sound and pictures in --rids
// sizes (three, or one without a name). Each picture names its size and number, and is a key
// frame if one was asked for.
//
// --stay see: watches by WHEP with the same and says each second what it has got.
//
// --relay PORT: the node is reached through a relay at this port of 127.0.0.1.

const (
	frameMs    = 40
	pictureLen = 1000 // of a packet
	ridURI     = sdp.SDESRTPStreamIDURI
	goodBye    = 2 * time.Second // for what is still asked for again
)

// What a picture of each size costs: 100, 400 and 1,200 kb/s.
var packetsOf = map[string]int{"": 2, "l": 1, "m": 2, "h": 6}
var bytesOf = map[string]int{"": pictureLen, "l": 500, "m": pictureLen, "h": pictureLen}

var candidate = regexp.MustCompile(`a=candidate:[^\r]*\r\n`)

// relayed makes an answer tell the relay's address instead of the node's.
func relayed(text string) string {
	if opt.relay == 0 {
		return text
	}
	first := true
	return candidate.ReplaceAllStringFunc(text, func(string) string {
		if !first {
			return ""
		}
		first = false
		return fmt.Sprintf("a=candidate:1 1 udp 2130706431 127.0.0.1 %d typ host\r\n", opt.relay)
	})
}

// tap counts what goes by between Pion's interceptors and the transport.
type tap struct {
	interceptor.NoOp
	mutex    sync.Mutex
	nacks    int            // packets that were asked for again
	twcc     int            // messages of transport-cc
	told     int            // of so many packets
	arrived  int            // and so many of them had come
	repairOf map[string]int // packets sent again by RTX, by SSRC
	wanted   func(uint32)
}

func (t *tap) NewInterceptor(string) (interceptor.Interceptor, error) { return t, nil }

func (t *tap) BindLocalStream(info *interceptor.StreamInfo, writer interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, b []byte, a interceptor.Attributes) (int, error) {
		if h.SSRC != info.SSRC {
			t.mutex.Lock()
			t.repairOf[fmt.Sprint(info.SSRC)]++
			t.mutex.Unlock()
		}
		return writer.Write(h, b, a)
	})
}

func (t *tap) count(packets []rtcp.Packet, in bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, packet := range packets {
		switch p := packet.(type) {
		case *rtcp.TransportLayerNack:
			for _, pair := range p.Nacks {
				t.nacks += len(pair.PacketList())
			}
		case *rtcp.TransportLayerCC:
			t.twcc++
			t.told += int(p.PacketStatusCount)
			t.arrived += len(p.RecvDeltas)
		case *rtcp.PictureLossIndication:
			if in && t.wanted != nil {
				t.wanted(p.MediaSSRC)
			}
		case *rtcp.FullIntraRequest:
			for _, entry := range p.FIR {
				if in && t.wanted != nil {
					t.wanted(entry.SSRC)
				}
			}
		}
	}
}

func (t *tap) BindRTCPReader(reader interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := reader.Read(b, a)
		if err == nil {
			if packets, bad := rtcp.Unmarshal(b[:n]); bad == nil {
				t.count(packets, true)
			}
		}
		return n, a, err
	})
}

func (t *tap) BindRTCPWriter(writer interceptor.RTCPWriter) interceptor.RTCPWriter {
	return interceptor.RTCPWriterFunc(func(packets []rtcp.Packet, a interceptor.Attributes) (int, error) {
		t.count(packets, false)
		return writer.Write(packets, a)
	})
}

// newLinked makes a peer connection as Pion's own defaults have it, with audio NACKed too. One
// that 'numbers' has what it sends reported. Pion's estimator, which passes on no RTX, is for
// 'estimator'.
func newLinked(t *tap, numbers bool, estimator func(cc.BandwidthEstimator)) *webrtc.PeerConnection {
	var media webrtc.MediaEngine
	registry := &interceptor.Registry{}
	kinds := []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo}

	check(media.RegisterDefaultCodecs(), "codecs")
	for _, kind := range kinds {
		check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: midURI}, kind), "extension")
	}
	media.RegisterFeedback(webrtc.RTCPFeedback{Type: "nack"}, webrtc.RTPCodecTypeAudio)
	registry.Add(t)
	if estimator != nil {
		factory, err := cc.NewInterceptor(func() (cc.BandwidthEstimator, error) {
			return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(300_000),
				gcc.SendSideBWEPacer(gcc.NewNoOpPacer()))
		})
		check(err, "estimator")
		factory.OnNewPeerConnection(func(_ string, e cc.BandwidthEstimator) { estimator(e) })
		registry.Add(factory)
	}
	if numbers {
		check(webrtc.ConfigureTWCCHeaderExtensionSender(&media, registry), "transport-cc")
	}
	check(webrtc.RegisterDefaultInterceptors(&media, registry), "interceptors")
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings()),
		webrtc.WithInterceptorRegistry(registry))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err, "peer connection")
	return pc
}

// picture n of a size: a VP8 frame as far as anybody looks at it without decoding.
func picture(rid string, n uint32, key bool) []byte {
	head := []byte{0x11, 0x02, 0x00} // shown, not a key frame
	if key {
		head = []byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}
	}
	out := append(head, (rid + "-")[0])
	out = binary.BigEndian.AppendUint32(out, n)
	x := n*2654435761 + uint32(out[len(out)-5])
	for len(out) < packetsOf[rid]*bytesOf[rid] {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out = append(out, byte(x))
	}
	return out
}

// readPicture tells what a frame is, or false if it is not one of picture().
func readPicture(frame []byte) (rid string, n uint32, key, ok bool) {
	at := 3
	if len(frame) > 0 && frame[0]&1 == 0 {
		key, at = true, 10
	}
	if len(frame) < at+5 {
		return
	}
	rid = strings.Trim(string(frame[at]), "-")
	n = binary.BigEndian.Uint32(frame[at+1:])
	_, known := packetsOf[rid]
	return rid, n, key, known && bytes.Equal(frame, picture(rid, n, key))
}

// layer is one size of the pictures that are sent.
type layer struct {
	rid    string
	track  *webrtc.TrackLocalStaticRTP
	wanted atomic.Bool
	ssrc   uint32
	seq    uint16
	n      uint32
}

func (l *layer) send(ts uint32, ids map[string]uint8, mid string) {
	frame := picture(l.rid, l.n, l.wanted.CompareAndSwap(true, false))
	id := uint16(32_700+l.n) & 0x7fff // it wraps

	for at := 0; at < len(frame); at += bytesOf[l.rid] {
		to := min(at+bytesOf[l.rid], len(frame))
		descriptor := []byte{0x80, 0x80, 0x80 | byte(id>>8), byte(id)} // of 15 bits
		if at == 0 {
			descriptor[0] |= 0x10
		}
		packet := &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: l.seq, Timestamp: ts,
			Marker: to == len(frame)}, Payload: append(descriptor, frame[at:to]...)}
		l.seq++
		if l.rid != "" { // Pion leaves these to the application
			check(packet.SetExtension(ids[midURI], []byte(mid)), "MID")
			check(packet.SetExtension(ids[ridURI], []byte(l.rid)), "RID")
		}
		check(l.track.WriteRTP(packet), "write")
	}
	l.n++
}

func newLayer(rid string) *layer {
	options := []func(*webrtc.TrackLocalStaticRTP){}
	if rid != "" {
		options = append(options, webrtc.WithRTPStreamID(rid))
	}
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "kcs", options...)
	check(err, "track")
	l := &layer{rid: rid, track: track, seq: 65000}
	l.wanted.Store(true)
	return l
}

func staySender() {
	var estimate cc.BandwidthEstimator
	var estimator func(cc.BandwidthEstimator)
	t := &tap{repairOf: map[string]int{}}
	if opt.estimate {
		estimator = func(e cc.BandwidthEstimator) { estimate = e }
	}
	pc := newLinked(t, true, estimator)
	up := connected(pc)
	audio, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "kcs")
	check(err, "track")
	layers := []*layer{}
	for _, rid := range strings.Split(opt.rids, ",") {
		layers = append(layers, newLayer(rid))
	}
	sendonly := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly}
	_, err = pc.AddTransceiverFromTrack(audio, sendonly)
	check(err, "transceiver")
	video, err := pc.AddTransceiverFromTrack(layers[0].track, sendonly)
	check(err, "transceiver")
	for _, l := range layers[1:] {
		check(video.Sender().AddEncoding(l.track), "encoding")
	}
	parameters := video.Sender().GetParameters()
	for i, l := range layers {
		l.ssrc = uint32(parameters.Encodings[i].SSRC)
	}
	t.wanted = func(ssrc uint32) {
		for _, l := range layers {
			if l.ssrc == ssrc {
				l.wanted.Store(true)
			}
		}
	}
	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	r := post("whip", gathered(pc, offer))
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer,
		SDP: relayed(r.sdp)}), "answer")
	await(up, "WHIP: ICE and DTLS")
	// RTCP goes through the interceptors when somebody reads it
	for _, sender := range pc.GetSenders() {
		for _, encoding := range sender.GetParameters().Encodings {
			go func(sender *webrtc.RTPSender, rid string) {
				for {
					var err error
					if rid == "" {
						_, _, err = sender.ReadRTCP()
					} else {
						_, _, err = sender.ReadSimulcastRTCP(rid)
					}
					if err != nil {
						return
					}
				}
			}(sender, encoding.RID)
		}
	}
	ids := map[string]uint8{}
	for _, ext := range video.Sender().GetParameters().HeaderExtensions {
		ids[ext.URI] = uint8(ext.ID)
	}
	say(object{"session": r.url, "etag": r.etag})
	done := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(done) }()
	tick := time.NewTicker(frameMs * time.Millisecond)
	for i := uint32(0); ; i++ {
		select {
		case <-done:
			leaving.Store(true)
			t.mutex.Lock()
			repair := map[string]int{}
			for _, l := range layers {
				repair[l.rid] = t.repairOf[fmt.Sprint(l.ssrc)]
			}
			target := 0
			if estimate != nil {
				target = estimate.GetTargetBitrate()
			}
			say(object{"nacked": t.nacks, "repair": repair, "twcc": t.twcc, "told": t.told,
				"arrived": t.arrived, "target": target})
			t.mutex.Unlock()
			r.delete()
			pc.Close()
			return
		case <-tick.C:
		}
		for k := uint32(0); k < frameMs/20; k++ {
			check(audio.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2,
				SequenceNumber: uint16(65000 + 2*i + k), Timestamp: (2*i + k) * 960},
				Payload: payload("audio", int(2*i+k))}), "write")
		}
		for _, l := range layers {
			l.send(i*frameMs*90, ids, video.Mid())
		}
	}
}

// sight is what a viewer has got: whole packets by their extended numbers.
type sight struct {
	mutex    sync.Mutex
	packets  map[int64]*rtp.Packet
	last     int64
	end      int64 // what comes later is not looked at; 0: all is
	repaired int
}

func (s *sight) take(packet *rtp.Packet, repaired bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if len(s.packets) == 0 {
		s.last = int64(packet.SequenceNumber)
	}
	at := s.last + int64(int16(packet.SequenceNumber-uint16(s.last)))
	s.last = max(s.last, at)
	if s.packets[at] == nil && len(packet.Payload) > 0 {
		s.packets[at] = packet
		if repaired {
			s.repaired++
		}
	}
}

func (s *sight) span() (from, to int64) {
	from = 1 << 62
	for at := range s.packets {
		if s.end != 0 && at > s.end {
			delete(s.packets, at)
			continue
		}
		from, to = min(from, at), max(to, at)
	}
	return from, to
}

// sound tells how many came of all that should have.
func (s *sight) sound() object {
	from, to := s.span()
	first, damaged := -1, 0
	for at := from; at <= to; at++ {
		packet := s.packets[at]
		if packet == nil {
			continue
		}
		n := number("audio", packet.Payload)
		if first < 0 {
			first = n - int(at-from)
		}
		if n < 0 || !bytes.Equal(packet.Payload, payload("audio", n)) || n != first+int(at-from) {
			damaged++
		}
	}
	return object{"packets": len(s.packets), "missing": int(to-from) + 1 - len(s.packets),
		"repaired": s.repaired, "damaged": damaged}
}

// pictures puts frames together, and tells which sizes came, in order of their coming.
func (s *sight) pictures() object {
	from, to := s.span()
	var frame []byte
	var sizes []string
	last, lastId, lastN := "?", -1, uint32(0)
	frames, broken, leans, jumps := 0, 0, 0, 0
	whole := false

	for at := from; at <= to; at++ {
		var vp8 codecs.VP8Packet
		packet := s.packets[at]
		if packet == nil {
			whole = false
			continue
		}
		if _, err := vp8.Unmarshal(packet.Payload); err != nil {
			broken++
			continue
		}
		if vp8.S == 1 && vp8.PID == 0 {
			frame, whole = nil, true
		}
		frame = append(frame, vp8.Payload...)
		if !packet.Marker {
			continue
		}
		rid, n, key, ok := readPicture(frame)
		if !whole {
			continue // of which something is missing
		}
		if !ok {
			broken++
			continue
		}
		frames++
		if !key && (rid != last || n != lastN+1) {
			leans++ // on what was not sent
		}
		if lastId >= 0 && int(vp8.PictureID) != (lastId+1)&0x7fff {
			jumps++
		}
		if rid != last {
			sizes = append(sizes, rid)
		}
		last, lastId, lastN = rid, int(vp8.PictureID), n
	}
	return object{"packets": len(s.packets), "missing": int(to-from) + 1 - len(s.packets),
		"repaired": s.repaired, "frames": frames, "broken": broken, "leans": leans,
		"jumps": jumps, "sizes": sizes}
}

func stayViewer() {
	t := &tap{repairOf: map[string]int{}}
	pc := newLinked(t, false, nil)
	up := connected(pc)
	all := map[string]*sight{"audio": {packets: map[int64]*rtp.Packet{}}, "video": {packets: map[int64]*rtp.Packet{}}}

	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		into := all[track.Kind().String()]
		for {
			packet, attributes, err := track.ReadRTP()
			if err != nil {
				return
			}
			into.take(packet, attributes.Get(webrtc.AttributeRtxSsrc) != nil)
		}
	})
	r := watch(pc, up)
	say(object{"session": r.url, "etag": r.etag})
	go func() {
		for range time.Tick(time.Second) {
			video := all["video"]
			video.mutex.Lock()
			seen := video.pictures()
			video.mutex.Unlock()
			sizes := seen["sizes"].([]string)
			if len(sizes) > 0 {
				say(object{"kind": "video", "from": sizes[len(sizes)-1]})
			}
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, s := range all {
		s.mutex.Lock()
		s.end = s.last
		s.mutex.Unlock()
	}
	time.Sleep(goodBye)
	leaving.Store(true)
	audio, video := all["audio"], all["video"]
	audio.mutex.Lock()
	video.mutex.Lock()
	t.mutex.Lock()
	say(object{"audio": audio.sound(), "video": video.pictures(), "nacked": t.nacks, "twcc": t.twcc})
	t.mutex.Unlock()
	video.mutex.Unlock()
	audio.mutex.Unlock()
	r.delete()
	pc.Close()
}
