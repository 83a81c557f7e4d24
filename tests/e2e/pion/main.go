// kcs-pion: a foreign client for the tests. It publishes N known payloads of audio and of
// video with Pion, by WHIP or by Socket.IO, watches them as several subscribers by WHEP and
// by Socket.IO, and says what became of each payload, as one line of JSON.
//
//	kcs-pion --origin http://127.0.0.1:8080 --meeting M --token T --n 2000 --srtp gcm
//	    [--publish whip|socket|none] [--whep 3] [--socket 3] [--setup passive] [--ip 4|6]
//
// With --stay it publishes or watches until its input ends (switch.go, link.go, data.go).
package main

import (
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

type options struct {
	origin, meeting, token, srtp, publish, setup string
	n, whep, socket, ip, wait, relay             int
	restart, audio                               bool
	stay, tag, participant, rids                 string
	keep, bare, counter, estimate                bool
}

var opt options

func check(err error, what string) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "kcs-pion: %s: %v\n", what, err)
		os.Exit(1)
	}
}

// settings are how the client's ICE and DTLS are to be.
func settings() webrtc.SettingEngine {
	var settings webrtc.SettingEngine

	if opt.srtp == "cm80" {
		settings.SetSRTPProtectionProfiles(dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	} else {
		settings.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM)
	}
	settings.SetIncludeLoopbackCandidate(true)
	if opt.ip == 6 {
		settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP6})
	} else if opt.ip == 4 {
		settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	}
	return settings
}

// newPeer makes a peer connection without interceptors: nothing is asked for again, so that
// what is lost is seen.
func newPeer() *webrtc.PeerConnection {
	var media webrtc.MediaEngine

	check(media.RegisterDefaultCodecs(), "codecs")
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{
			URI: "urn:ietf:params:rtp-hdrext:sdes:mid"}, kind), "extension")
	}
	if opt.stay != "" {
		check(media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: levelURI},
			webrtc.RTPCodecTypeAudio), "extension")
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings()),
		webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	check(err, "peer connection")
	return pc
}

// leaving is set before this client closes what it has.
var leaving atomic.Bool

// connected returns a channel that closes once the peer connection is connected.
func connected(pc *webrtc.PeerConnection) chan struct{} {
	done := make(chan struct{})
	var once sync.Once

	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			once.Do(func() { close(done) })
		}
		// Pion closes by itself when close_notify comes; without, it would go on for long
		if opt.stay != "" && !leaving.Load() && (state == webrtc.PeerConnectionStateClosed ||
			state == webrtc.PeerConnectionStateDisconnected || state == webrtc.PeerConnectionStateFailed) {
			say(object{"connection": state.String()})
		}
	})
	return done
}

func await(done chan struct{}, what string) {
	select {
	case <-done:
	case <-time.After(time.Duration(opt.wait) * time.Second):
		check(fmt.Errorf("not within %d s", opt.wait), what)
	}
}

func newTracks() (*webrtc.TrackLocalStaticRTP, *webrtc.TrackLocalStaticRTP) {
	audio, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}, "audio", "kcs")
	check(err, "track")
	video, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP8, ClockRate: 90000}, "video", "kcs")
	check(err, "track")
	return audio, video
}

func addTracks(pc *webrtc.PeerConnection) (*webrtc.TrackLocalStaticRTP, *webrtc.TrackLocalStaticRTP) {
	audio, video := newTracks()
	for _, track := range []*webrtc.TrackLocalStaticRTP{audio, video} {
		_, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{
			Direction: webrtc.RTPTransceiverDirectionSendonly})
		check(err, "transceiver")
	}
	return audio, video
}

func main() {
	flag.StringVar(&opt.origin, "origin", "", "http://host:port of the node")
	flag.StringVar(&opt.meeting, "meeting", "", "meeting id")
	flag.StringVar(&opt.token, "token", "", "token of a presenter")
	flag.StringVar(&opt.srtp, "srtp", "gcm", "gcm or cm80")
	flag.StringVar(&opt.publish, "publish", "whip", "whip, socket or none (somebody else does)")
	flag.StringVar(&opt.setup, "setup", "actpass", "what the WHIP offer says: actpass, active, passive")
	flag.IntVar(&opt.n, "n", 2000, "payloads a track")
	flag.IntVar(&opt.whep, "whep", 3, "subscribers by WHEP")
	flag.IntVar(&opt.socket, "socket", 3, "subscribers by Socket.IO")
	flag.IntVar(&opt.ip, "ip", 0, "4 or 6: of the client's candidates")
	flag.BoolVar(&opt.audio, "audio", false, "audio alone is published (with --publish none)")
	flag.IntVar(&opt.wait, "wait", 30, "seconds that a step may take")
	flag.BoolVar(&opt.restart, "restart", false, "restart ICE of the publisher in the midst")
	flag.BoolVar(&opt.bare, "bare", false, "tell no candidate: the node learns the address from checks")
	flag.StringVar(&opt.stay, "stay", "", "publish, watch, send, see or data, until the input ends")
	flag.StringVar(&opt.rids, "rids", "", "send: names of the sizes, of l,m,h")
	flag.BoolVar(&opt.estimate, "estimate", false, "send: with Pion's estimator")
	flag.IntVar(&opt.relay, "relay", 0, "send, see: port of a relay to the node")
	flag.StringVar(&opt.tag, "tag", "A", "the letter that names what is published")
	flag.StringVar(&opt.participant, "participant", "", "whom to watch")
	flag.BoolVar(&opt.keep, "keep", false, "leave the session at the end")
	flag.BoolVar(&opt.counter, "counter", false, "watch: offer what will not do, answer the node's offer")
	flag.Parse()
	if strings.HasPrefix(opt.origin, "https:") { // the node's certificate is self-signed
		http.DefaultTransport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	switch opt.stay {
	case "publish":
		stayPublisher()
		return
	case "watch":
		stayWatcher()
		return
	case "send":
		staySender()
		return
	case "data":
		stayData()
		return
	case "see":
		stayViewer()
		return
	}

	var publisher *publisher
	switch opt.publish {
	case "whip":
		publisher = publishWhip()
	case "socket":
		publisher = publishSocket()
	}
	var sinks []*sink
	for i := 0; i < opt.whep; i++ {
		sinks = append(sinks, watchWhep(fmt.Sprintf("whep%d", i)))
	}
	for i := 0; i < opt.socket; i++ {
		sinks = append(sinks, watchSocket(fmt.Sprintf("socket%d", i)))
	}
	if publisher != nil {
		publisher.send(sinks)
	} else {
		awaitOthers(sinks)
	}
	report(publisher, sinks)
}

func report(p *publisher, sinks []*sink) {
	out := map[string]any{"n": opt.n}
	list := []any{}
	ok := true

	for _, s := range sinks {
		for _, t := range s.tallies() {
			t.mutex.Lock()
			good := t.count == opt.n && t.duplicates == 0 && t.disorder == 0 && t.damaged == 0
			ok = ok && good
			list = append(list, map[string]any{"sink": s.name, "kind": t.kind, "received": t.count,
				"duplicates": t.duplicates, "disorder": t.disorder, "damaged": t.damaged, "ok": good})
			t.mutex.Unlock()
		}
	}
	out["sinks"] = list
	out["ok"] = ok
	if p != nil && p.dtls != nil {
		out["setup"] = p.dtls()
	}
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
	for _, s := range sinks {
		s.close()
	}
	if p != nil {
		p.close()
	}
	if !ok {
		os.Exit(1)
	}
}
