package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"

	"github.com/pion/webrtc/v4"
)

// --stay data: a transport of data channels, as lines of JSON have it:
//
//	{"offer": SDP}            answers {"answer": SDP}
//	{"open": id, "ordered"}   a channel of that number; {"opened": id} when it is
//	{"send": id, "data"}      base64, sent as it is
//
// What comes is told as {"from": id, "data": base64}.
func stayData() {
	pc := newPeer()
	channels := map[uint16]*webrtc.DataChannel{}
	in := bufio.NewScanner(os.Stdin)

	in.Buffer(nil, 1<<20)
	say(object{"ready": true})
	for in.Scan() {
		var line struct {
			Offer   string  `json:"offer"`
			Open    *uint16 `json:"open"`
			Ordered bool    `json:"ordered"`
			Send    *uint16 `json:"send"`
			Data    []byte  `json:"data"`
		}
		check(json.Unmarshal(in.Bytes(), &line), "input")
		switch {
		case line.Offer != "":
			check(pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: line.Offer}), "offer")
			answer, err := pc.CreateAnswer(nil)
			check(err, "answer")
			say(object{"answer": gathered(pc, answer)})
		case line.Open != nil:
			id, yes := *line.Open, true
			channel, err := pc.CreateDataChannel("kcs", &webrtc.DataChannelInit{ID: &id, Negotiated: &yes, Ordered: &line.Ordered})
			check(err, "channel")
			channel.OnOpen(func() { say(object{"opened": id}) })
			channel.OnMessage(func(message webrtc.DataChannelMessage) {
				say(object{"from": id, "data": base64.StdEncoding.EncodeToString(message.Data)})
			})
			channels[id] = channel
		case line.Send != nil:
			check(channels[*line.Send].Send(line.Data), "send")
		}
	}
	pc.Close()
}
