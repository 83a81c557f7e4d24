package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"golang.org/x/net/websocket"
)

// LiveKit's signaling: messages of JSON over a WebSocket. Until the first of the client's has
// come the server writes protobuf: of that only descriptions and candidates are read.

func livekitToken(identity string) string {
	now := time.Now().Unix()
	part := func(what any) string {
		text, _ := json.Marshal(what)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := part(object{"alg": "HS256", "typ": "JWT"}) + "." + part(object{"iss": opt.key, "sub": identity,
		"nbf": now - 10, "exp": now + 3600, "video": object{"room": opt.room, "roomJoin": true}})
	mac := hmac.New(sha256.New, []byte(opt.secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// fields takes a message of protobuf apart, as far as its fields have a length.
func fields(data []byte, each func(number uint64, value []byte)) {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return
		}
		data = data[n:]
		if tag&7 == 5 || tag&7 == 1 { // fixed
			size := map[uint64]int{5: 4, 1: 8}[tag&7]
			if len(data) < size {
				return
			}
			data = data[size:]
			continue
		}
		value, n := binary.Uvarint(data)
		if n <= 0 {
			return
		}
		data = data[n:]
		if tag&7 == 2 {
			if uint64(len(data)) < value {
				return
			}
			each(tag>>3, data[:value])
			data = data[value:]
		} else {
			each(tag>>3, []byte{byte(value)})
		}
	}
}

type signal struct {
	Answer, Offer *struct{ Type, Sdp string }
	Trickle       *struct {
		CandidateInit string
		Target        string
	}
}

// signalOf reads protobuf: SignalResponse has the answer as field 2, the offer 3, a candidate 4.
func signalOf(data []byte) (s signal) {
	fields(data, func(number uint64, value []byte) {
		description := func(kind string) *struct{ Type, Sdp string } {
			d := &struct{ Type, Sdp string }{Type: kind}
			fields(value, func(number uint64, value []byte) {
				if number == 2 {
					d.Sdp = string(value)
				}
			})
			return d
		}
		switch number {
		case 2:
			s.Answer = description("answer")
		case 3:
			s.Offer = description("offer")
		case 4:
			s.Trickle = &struct {
				CandidateInit string
				Target        string
			}{Target: "PUBLISHER"}
			fields(value, func(number uint64, value []byte) {
				if number == 1 {
					s.Trickle.CandidateInit = string(value)
				} else if number == 2 && len(value) == 1 && value[0] == 1 {
					s.Trickle.Target = "SUBSCRIBER"
				}
			})
		}
	})
	return s
}

type livekitClient struct {
	ws         *websocket.Conn
	mutex      sync.Mutex
	pc         map[string]*webrtc.PeerConnection // by target
	candidates map[string][]webrtc.ICECandidateInit
}

func (c *livekitClient) tell(what object) {
	text, _ := json.Marshal(what)
	c.mutex.Lock()
	defer c.mutex.Unlock()
	check(websocket.Message.Send(c.ws, string(text)), "signaling")
}

// apply sets a description; candidates that came before it wait for it.
func (c *livekitClient) apply(target string, d webrtc.SessionDescription) {
	check(c.pc[target].SetRemoteDescription(d), target)
	for _, candidate := range c.candidates[target] {
		check(c.pc[target].AddICECandidate(candidate), "candidate")
	}
	c.candidates[target] = nil
}

func (c *livekitClient) on(s signal) {
	switch {
	case s.Answer != nil:
		c.apply("PUBLISHER", webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: s.Answer.Sdp})
	case s.Offer != nil:
		pc := c.pc["SUBSCRIBER"]
		c.apply("SUBSCRIBER", webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: s.Offer.Sdp})
		answer, err := pc.CreateAnswer(nil)
		check(err, "answer")
		c.tell(object{"answer": object{"type": "answer", "sdp": gathered(pc, answer)}})
	case s.Trickle != nil:
		var candidate webrtc.ICECandidateInit

		if json.Unmarshal([]byte(s.Trickle.CandidateInit), &candidate) != nil {
			return
		}
		if pc := c.pc[s.Trickle.Target]; pc == nil || pc.RemoteDescription() == nil {
			c.candidates[s.Trickle.Target] = append(c.candidates[s.Trickle.Target], candidate)
		} else {
			check(pc.AddICECandidate(candidate), "candidate")
		}
	}
}

func (c *livekitClient) read() {
	both := websocket.Codec{Unmarshal: func(data []byte, kind byte, v any) error {
		if kind == websocket.TextFrame {
			return json.Unmarshal(data, v)
		}
		*v.(*signal) = signalOf(data)
		return nil
	}}
	for {
		var s signal

		if err := both.Receive(c.ws, &s); err != nil {
			check(err, "signaling")
		}
		c.on(s)
	}
}

func join(identity string, receives bool) *livekitClient {
	at := strings.Replace(opt.url, "http", "ws", 1) + "/rtc?auto_subscribe=1&protocol=9&sdk=go&access_token=" +
		url.QueryEscape(livekitToken(identity))
	ws, err := websocket.Dial(at, "", opt.url)
	check(err, "signaling")
	ws.MaxPayloadBytes = 1 << 24
	c := &livekitClient{ws: ws, pc: map[string]*webrtc.PeerConnection{"SUBSCRIBER": newPeer(receives)},
		candidates: map[string][]webrtc.ICECandidateInit{}}
	go func() { // its server misses a client that says nothing
		for range time.Tick(5 * time.Second) {
			c.tell(object{"ping": fmt.Sprint(time.Now().UnixMilli())})
		}
	}()
	return c
}

func livekit(track *webrtc.TrackLocalStaticRTP) func(int, onTrack) {
	c := join("publisher", false)
	pc := newPeer(false)
	c.pc["PUBLISHER"] = pc
	up := connected(pc)
	go c.read()
	c.tell(object{"addTrack": object{"cid": track.ID(), "name": "video", "type": "VIDEO", "source": "CAMERA",
		"width": 640, "height": 360}})
	time.Sleep(300 * time.Millisecond) // its answer tells nothing that is needed
	sendOnly(pc, track)
	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	c.tell(object{"offer": object{"type": "offer", "sdp": gathered(pc, offer)}})
	await(up, "publish")
	return func(i int, on onTrack) {
		c := join(fmt.Sprintf("receiver%d", i), true)
		up := connected(c.pc["SUBSCRIBER"])
		c.pc["SUBSCRIBER"].OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { on(track) })
		go c.read()
		await(up, "subscribe")
	}
}
