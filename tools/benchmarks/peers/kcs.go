package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pion/webrtc/v4"
)

// What a server is: it is given what is sent, and returns how a receiver is added.
type onTrack func(*webrtc.TrackRemote)

var servers = map[string]func(*webrtc.TrackLocalStaticRTP) func(int, onTrack){
	"kcs": kcs, "janus": janus, "livekit": livekit,
}

func sendOnly(pc *webrtc.PeerConnection, track *webrtc.TrackLocalStaticRTP) {
	_, err := pc.AddTransceiverFromTrack(track, webrtc.RTPTransceiverInit{
		Direction: webrtc.RTPTransceiverDirectionSendonly})
	check(err, "transceiver")
}

func wish(endpoint string, pc *webrtc.PeerConnection) {
	up := connected(pc)
	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	req, err := http.NewRequest("POST", fmt.Sprintf("%s/api/%s/%s", opt.url, endpoint, url.PathEscape(opt.room)),
		strings.NewReader(gathered(pc, offer)))
	check(err, endpoint)
	req.Header.Set("Authorization", "Bearer "+opt.token)
	req.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(req)
	check(err, endpoint)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	check(err, endpoint)
	if res.StatusCode != 201 {
		check(fmt.Errorf("%d %s", res.StatusCode, body), endpoint)
	}
	check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(body)}), "answer")
	await(up, endpoint)
}

// By WHIP and WHEP.
func kcs(track *webrtc.TrackLocalStaticRTP) func(int, onTrack) {
	pc := newPeer(false)
	sendOnly(pc, track)
	wish("whip", pc)
	return func(_ int, on onTrack) {
		pc := newPeer(true)
		pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { on(track) })
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
			_, err := pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{
				Direction: webrtc.RTPTransceiverDirectionRecvonly})
			check(err, "transceiver")
		}
		wish("whep", pc)
	}
}
