package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/webrtc/v4"
	"golang.org/x/net/websocket"
)

// socket is a Socket.IO client as docs/api.md asks for: WebSocket alone, one namespace, acks.
type socket struct {
	conn  *websocket.Conn
	mutex sync.Mutex
	next  int
	acks  map[int]chan json.RawMessage
	ready chan struct{}
}

type object = map[string]any

func (s *socket) write(text string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	check(websocket.Message.Send(s.conn, text), "Socket.IO send")
}

func (s *socket) read() {
	for {
		var text string
		if websocket.Message.Receive(s.conn, &text) != nil {
			return
		}
		switch {
		case strings.HasPrefix(text, "0"):
			auth, _ := json.Marshal(object{"token": opt.token})
			s.write("40/meeting," + string(auth))
		case text == "2":
			s.write("3")
		case strings.HasPrefix(text, "40/meeting,"):
			close(s.ready)
		case strings.HasPrefix(text, "44"):
			check(fmt.Errorf("%s", text), "Socket.IO connect")
		case strings.HasPrefix(text, "43/meeting,"):
			rest := strings.TrimPrefix(text, "43/meeting,")
			at := strings.IndexByte(rest, '[')
			id, _ := strconv.Atoi(rest[:at])
			var args []json.RawMessage
			check(json.Unmarshal([]byte(rest[at:]), &args), "ack")
			s.mutex.Lock()
			done := s.acks[id]
			s.mutex.Unlock()
			done <- args[0]
		}
	}
}

// ask emits an event and decodes its ack, which must be ok, into 'out'.
func (s *socket) ask(event string, body any, out any) {
	done := make(chan json.RawMessage, 1)
	s.mutex.Lock()
	s.next++
	id := s.next
	s.acks[id] = done
	s.mutex.Unlock()
	text, err := json.Marshal([]any{event, body})
	check(err, event)
	s.write(fmt.Sprintf("42/meeting,%d%s", id, text))
	select {
	case raw := <-done:
		var ok struct {
			Ok bool `json:"ok"`
		}
		if json.Unmarshal(raw, &ok) != nil || !ok.Ok {
			check(fmt.Errorf("%s", raw), event)
		}
		check(json.Unmarshal(raw, out), event)
	case <-time.After(time.Duration(opt.wait) * time.Second):
		check(fmt.Errorf("no ack"), event)
	}
}

type producer struct {
	ID   string `json:"producer_id"`
	Kind string `json:"kind"`
}

type joined struct {
	Producers    []producer      `json:"producers"`
	Capabilities json.RawMessage `json:"rtp_capabilities"`
}

func join(name string) (*socket, joined) {
	conn, err := websocket.Dial(strings.Replace(opt.origin, "http", "ws", 1)+
		"/socket.io/?EIO=4&transport=websocket", "", opt.origin)
	check(err, "WebSocket")
	s := &socket{conn: conn, acks: map[int]chan json.RawMessage{}, ready: make(chan struct{})}
	go s.read()
	await(s.ready, "Socket.IO connect")
	var room joined
	s.ask("room:join", object{"meeting_id": opt.meeting, "display_name": name}, &room)
	return s, room
}

type transport struct {
	ID  string `json:"transport_id"`
	Ice struct {
		Ufrag string `json:"usernameFragment"`
		Pwd   string `json:"password"`
	} `json:"ice_parameters"`
	Candidates []struct {
		Foundation string `json:"foundation"`
		Priority   uint32 `json:"priority"`
		Address    string `json:"address"`
		Port       int    `json:"port"`
	} `json:"ice_candidates"`
	Dtls struct {
		Fingerprints []struct {
			Algorithm string `json:"algorithm"`
			Value     string `json:"value"`
		} `json:"fingerprints"`
	} `json:"dtls_parameters"`
}

// lines of a section that tell the node's end of the transport.
func (t *transport) lines(setup string) string {
	out := fmt.Sprintf("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=setup:%s\r\na=fingerprint:%s %s\r\na=rtcp-mux\r\n",
		t.Ice.Ufrag, t.Ice.Pwd, setup, t.Dtls.Fingerprints[0].Algorithm, t.Dtls.Fingerprints[0].Value)
	for _, c := range t.Candidates {
		out += fmt.Sprintf("a=candidate:%s 1 udp %d %s %d typ host\r\n", c.Foundation, c.Priority, c.Address, c.Port)
	}
	return out
}

func (s *socket) transport(direction string) *transport {
	var t transport
	s.ask("transport:create", object{"direction": direction}, &t)
	return &t
}

func (s *socket) connect(t *transport, sdp, role string) {
	fp := strings.SplitN(attribute(sdp, "fingerprint"), " ", 2)
	var none object
	s.ask("transport:connect", object{"transport_id": t.ID, "dtls_parameters": object{"role": role,
		"fingerprints": []object{{"algorithm": fp[0], "value": fp[1]}}}}, &none)
}

const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0 1\r\n"

func publishSocket() *publisher {
	s, _ := join("Pion")
	t := s.transport("send")
	pc := newPeer()
	up := connected(pc)
	audio, video := addTracks(pc)

	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	sdp := gathered(pc, offer)
	s.connect(t, sdp, "client")
	answer := head +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n" +
		t.lines("passive") +
		"m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n" +
		t.lines("passive")
	for i, sender := range pc.GetSenders() {
		mime, kind, source, pt, rate := "audio/opus", "audio", "mic", 111, 48000
		if sender.Track().Kind() == webrtc.RTPCodecTypeVideo {
			mime, kind, source, pt, rate = "video/VP8", "video", "camera", 96, 90000
		}
		codec := object{"mimeType": mime, "payloadType": pt, "clockRate": rate}
		if kind == "audio" {
			codec["channels"] = 2
		}
		var made producer
		s.ask("produce", object{"transport_id": t.ID, "kind": kind, "source": source,
			"rtp_parameters": object{"mid": strconv.Itoa(i), "codecs": []object{codec},
				"encodings": []object{{"ssrc": sender.GetParameters().Encodings[0].SSRC}},
				"rtcp":      object{"cname": "pion"}}}, &made)
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}), "answer")
	await(up, "Socket.IO: ICE and DTLS")
	return &publisher{audio: audio, video: video, close: func() { s.conn.Close(); pc.Close() }}
}

type consumer struct {
	ID         string `json:"consumer_id"`
	Kind       string `json:"kind"`
	Parameters struct {
		Codecs []struct {
			Mime string `json:"mimeType"`
			Pt   int    `json:"payloadType"`
			Rate int    `json:"clockRate"`
		} `json:"codecs"`
		Encodings []struct {
			Ssrc uint32 `json:"ssrc"`
		} `json:"encodings"`
	} `json:"rtp_parameters"`
}

func (c *consumer) section(mid int, t *transport) string {
	codec := c.Parameters.Codecs[0]
	name := strings.SplitN(codec.Mime, "/", 2)[1]
	if c.Kind == "audio" {
		name += "/48000/2"
	} else {
		name += fmt.Sprintf("/%d", codec.Rate)
	}
	return fmt.Sprintf("m=%s 9 UDP/TLS/RTP/SAVPF %d\r\nc=IN IP4 0.0.0.0\r\na=mid:%d\r\na=sendonly\r\n"+
		"a=rtpmap:%d %s\r\na=ssrc:%d cname:c\r\na=ssrc:%d msid:s %s\r\n", c.Kind, codec.Pt, mid, codec.Pt,
		name, c.Parameters.Encodings[0].Ssrc, c.Parameters.Encodings[0].Ssrc, c.Kind) + t.lines("actpass")
}

func watchSocket(name string) *sink {
	s, room := join(name)
	t := s.transport("recv")
	pc := newPeer()
	up := connected(pc)
	out := newSink(name, pc)
	offer := head
	var ids []string

	for i, p := range room.Producers {
		var c consumer
		s.ask("consume", object{"transport_id": t.ID, "producer_id": p.ID,
			"rtp_capabilities": room.Capabilities}, &c)
		offer += c.section(i, t)
		ids = append(ids, c.ID)
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}), "offer")
	answer, err := pc.CreateAnswer(nil)
	check(err, "answer")
	sdp := gathered(pc, answer)
	role := "client"
	if attribute(sdp, "setup") == "passive" {
		role = "server" // Pion towards an ICE-lite offerer
	}
	s.connect(t, sdp, role)
	for _, id := range ids {
		var none object
		s.ask("consumer:resume", object{"consumer_id": id}, &none)
	}
	await(up, "Socket.IO: ICE and DTLS")
	out.close = func() { s.conn.Close(); pc.Close() }
	return out
}
