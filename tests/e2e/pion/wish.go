package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/pion/webrtc/v4"
)

// A session of WHIP or WHEP.
type resource struct {
	url, etag string
	status    int
	sdp       string
}

func request(method, address, kind, match, body string) *http.Response {
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	check(err, method)
	req.Header.Set("Authorization", "Bearer "+opt.token)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	res, err := http.DefaultClient.Do(req)
	check(err, method)
	return res
}

func post(endpoint, sdp string) *resource {
	address := fmt.Sprintf("%s/api/%s/%s", opt.origin, endpoint, url.PathEscape(opt.meeting))
	if opt.participant != "" {
		address += "?participant=" + url.QueryEscape(opt.participant)
	}
	res := request("POST", address, "application/sdp", "", sdp)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(err, "POST")
	if res.StatusCode != 201 && res.StatusCode != 406 {
		check(fmt.Errorf("%d %s", res.StatusCode, body), "POST "+address)
	}
	at, err := res.Request.URL.Parse(res.Header.Get("Location"))
	check(err, "Location")
	return &resource{at.String(), res.Header.Get("ETag"), res.StatusCode, string(body)}
}

func (r *resource) delete() { request("DELETE", r.url, "", "", "").Body.Close() }

func gathered(pc *webrtc.PeerConnection, d webrtc.SessionDescription) string {
	done := webrtc.GatheringCompletePromise(pc)
	check(pc.SetLocalDescription(d), "local description")
	<-done
	return pc.LocalDescription().SDP
}

func publishWhip() *publisher {
	pc := newPeer()
	up := connected(pc)
	audio, video := addTracks(pc)

	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	sdp := gathered(pc, offer)
	sdp = strings.ReplaceAll(sdp, "a=setup:actpass", "a=setup:"+opt.setup)
	// a name that only a browser's own network resolves: it must not matter
	sdp = strings.Replace(sdp, "a=end-of-candidates", "a=candidate:9 1 udp 2130706431 "+
		"8a1f7c02-0000-4000-8000-000000000000.local 50000 typ host\r\na=end-of-candidates", 1)
	if opt.bare {
		kept := []string{}
		for _, line := range strings.Split(sdp, "\r\n") {
			if !strings.HasPrefix(line, "a=candidate:") {
				kept = append(kept, line)
			}
		}
		sdp = strings.Join(kept, "\r\n")
	}
	r := post("whip", sdp)
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: r.sdp}), "answer")
	await(up, "WHIP: ICE and DTLS")
	p := &publisher{pc: pc, url: r.url, etag: func() string { return r.etag },
		audio: audio, video: video, close: func() { r.delete(); pc.Close() },
		dtls: func() string { return setupOf(r.sdp) }}
	if opt.restart {
		p.midway = func() { restart(pc, r) }
	}
	return p
}

func setupOf(sdp string) string {
	for _, line := range strings.Split(sdp, "\r\n") {
		if strings.HasPrefix(line, "a=setup:") {
			return strings.TrimPrefix(line, "a=setup:")
		}
	}
	return ""
}

func attribute(sdp, name string) string {
	for _, line := range strings.Split(sdp, "\r\n") {
		if strings.HasPrefix(line, "a="+name+":") {
			return strings.TrimPrefix(line, "a="+name+":")
		}
	}
	return ""
}

// restart exchanges the ICE credentials as RFC 9725, section 4.3.3 has it, and waits until
// Pion has a path again: meanwhile it would drop what it is given to send.
func restart(pc *webrtc.PeerConnection, r *resource) {
	again := make(chan struct{})
	checking := false
	var once sync.Once

	pc.OnICEConnectionStateChange(func(state webrtc.ICEConnectionState) {
		checking = checking || state == webrtc.ICEConnectionStateChecking
		if checking && state == webrtc.ICEConnectionStateConnected {
			once.Do(func() { close(again) })
		}
	})
	defer await(again, "ICE restart: checks")
	offer, err := pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
	check(err, "restart offer")
	sdp := gathered(pc, offer)
	body := fmt.Sprintf("a=ice-ufrag:%s\r\na=ice-pwd:%s\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
		attribute(sdp, "ice-ufrag"), attribute(sdp, "ice-pwd"))
	res := request("PATCH", r.url, "application/trickle-ice-sdpfrag", `"*"`, body)
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	check(err, "PATCH")
	if res.StatusCode != 200 || res.Header.Get("ETag") == r.etag || res.Header.Get("ETag") == "" {
		check(fmt.Errorf("%d %s %s", res.StatusCode, res.Header.Get("ETag"), answer), "ICE restart")
	}
	fragment := string(answer)
	renewed := strings.ReplaceAll(r.sdp, "a=ice-ufrag:"+attribute(r.sdp, "ice-ufrag"),
		"a=ice-ufrag:"+attribute(fragment, "ice-ufrag"))
	renewed = strings.ReplaceAll(renewed, "a=ice-pwd:"+attribute(r.sdp, "ice-pwd"),
		"a=ice-pwd:"+attribute(fragment, "ice-pwd"))
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: renewed}), "restart answer")
	r.etag = res.Header.Get("ETag")
}

// Asks for whatever the node shows, sound and picture, and waits until it may come.
func watch(pc *webrtc.PeerConnection, up chan struct{}) *resource {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{
			Direction: webrtc.RTPTransceiverDirectionRecvonly})
		check(err, "transceiver")
	}
	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	r := post("whep", gathered(pc, offer))
	if r.status != 201 {
		check(fmt.Errorf("%d", r.status), "WHEP")
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: relayed(r.sdp)}), "answer")
	await(up, "WHEP: ICE and DTLS")
	return r
}

// watchCounter offers no video codec that the node has, gets its offer with a 406, and answers
// that (draft-ietf-wish-whep, section 4.3).
func watchCounter(pc *webrtc.PeerConnection, up chan struct{}) *resource {
	other := newViewer()
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		_, err := other.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{
			Direction: webrtc.RTPTransceiverDirectionRecvonly})
		check(err, "transceiver")
	}
	offer, err := other.CreateOffer(nil)
	check(err, "offer")
	sdp := gathered(other, offer)
	for _, codec := range []string{"VP8", "VP9", "H264", "AV1"} {
		sdp = strings.ReplaceAll(sdp, codec+"/90000", "X-"+codec+"/90000")
	}
	other.Close()
	r := post("whep", sdp)
	if r.status != 406 {
		check(fmt.Errorf("%d", r.status), "WHEP: an offer of the node")
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: r.sdp}), "offer of the node")
	answer, err := pc.CreateAnswer(nil)
	check(err, "answer")
	res := request("PATCH", r.url, "application/sdp", r.etag, gathered(pc, answer))
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != 204 {
		check(fmt.Errorf("%d %s", res.StatusCode, body), "PATCH")
	}
	await(up, "WHEP: ICE and DTLS")
	return r
}

func watchWhep(name string) *sink {
	pc := newPeer()
	up := connected(pc)
	s := newSink(name, pc)

	r := watch(pc, up)
	s.close = func() { r.delete(); pc.Close() }
	return s
}
