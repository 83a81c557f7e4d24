package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/pion/webrtc/v4"
)

type object = map[string]any

// A session of Janus' HTTP interface, with one handle of its videoroom.
type handle struct{ session, at string }

var transaction atomic.Int64

func ask(url string, what object) object {
	var res *http.Response
	var err error

	if what == nil {
		res, err = http.Get(url)
	} else {
		what["transaction"] = fmt.Sprint(transaction.Add(1))
		body, _ := json.Marshal(what)
		res, err = http.Post(url, "application/json", bytes.NewReader(body))
	}
	check(err, url)
	defer res.Body.Close()
	var out object
	check(json.NewDecoder(res.Body).Decode(&out), url)
	if out["janus"] == "error" {
		check(fmt.Errorf("%v", out["error"]), url)
	}
	return out
}

func id(of object) string { return fmt.Sprintf("%.0f", of["data"].(object)["id"]) }

func newHandle() handle {
	session := opt.url + "/janus/" + id(ask(opt.url+"/janus", object{"janus": "create"}))
	return handle{session, session + "/" + id(ask(session, object{"janus": "attach", "plugin": "janus.plugin.videoroom"}))}
}

// request sends a message and returns what the plugin says, at once or by an event.
func (h handle) request(body object, jsep *webrtc.SessionDescription) (object, *webrtc.SessionDescription) {
	message := object{"janus": "message", "body": body}
	if jsep != nil {
		message["jsep"] = object{"type": jsep.Type.String(), "sdp": jsep.SDP}
	}
	out := ask(h.at, message)
	for {
		plugin, _ := out["plugindata"].(object)
		if plugin != nil {
			data := plugin["data"].(object)
			if data["error"] != nil {
				check(fmt.Errorf("%v", data["error"]), fmt.Sprint(body["request"]))
			}
			if sdp, ok := out["jsep"].(object); ok {
				return data, &webrtc.SessionDescription{Type: webrtc.NewSDPType(sdp["type"].(string)), SDP: sdp["sdp"].(string)}
			}
			return data, nil
		}
		out = ask(h.session+"?maxev=1", nil)
	}
}

// By its videoroom.
func janus(track *webrtc.TrackLocalStaticRTP) func(int, onTrack) {
	const room = 1
	h := newHandle()
	h.request(object{"request": "create", "room": room, "publishers": 1, "videocodec": "vp8", "fir_freq": 0}, nil)
	pc := newPeer(false)
	up := connected(pc)
	sendOnly(pc, track)
	offer, err := pc.CreateOffer(nil)
	check(err, "offer")
	offer.SDP = gathered(pc, offer)
	data, answer := h.request(object{"request": "join", "ptype": "publisher", "room": room, "display": "bench"}, nil)
	feed := data["id"]
	_, answer = h.request(object{"request": "publish", "audio": false, "video": true, "bitrate": 0}, &offer)
	if answer == nil {
		check(fmt.Errorf("no answer"), "publish")
	}
	check(pc.SetRemoteDescription(*answer), "answer")
	await(up, "publish")
	return func(_ int, on onTrack) {
		h := newHandle()
		pc := newPeer(true)
		up := connected(pc)
		pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { on(track) })
		_, offer := h.request(object{"request": "join", "ptype": "subscriber", "room": room,
			"streams": []object{{"feed": feed}}}, nil)
		if offer == nil {
			check(fmt.Errorf("no offer"), "subscribe")
		}
		check(pc.SetRemoteDescription(*offer), "offer")
		answer, err := pc.CreateAnswer(nil)
		check(err, "answer")
		answer.SDP = gathered(pc, answer)
		h.request(object{"request": "start"}, &answer)
		await(up, "subscribe")
	}
}
