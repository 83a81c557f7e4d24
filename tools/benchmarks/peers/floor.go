package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"time"
)

// The receivers of the floor, whose packets are numbered but mean nothing: the same sockets with
// the same filter, of which the numbers are counted. Says where they are; then reads lines
// "FROM TO", which numbers each was sent, and says what of those came.
func floor() {
	var receivers []*receiver
	var addresses []string

	for i := 0; i < opt.subscribers; i++ {
		r := &receiver{known: true}
		conn := listen(true)
		receivers = append(receivers, r)
		addresses = append(addresses, conn.LocalAddr().String())
		go r.count(conn)
	}
	say(map[string]any{"addresses": addresses})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var from, to uint64

		if n, _ := fmt.Sscan(lines.Text(), &from, &to); n != 2 || to < from {
			check(fmt.Errorf("'%s'", lines.Text()), "a line of input")
		}
		time.Sleep(settle)
		out := result{Sent: to - from}
		for _, r := range receivers {
			r.mutex.Lock()
			out.Expected += r.expected(from, to)
			out.Got += r.got
			r.got = 0
			r.mutex.Unlock()
			out.Receivers++
		}
		say(out)
	}
}

func (r *receiver) count(conn net.PacketConn) {
	buf := make([]byte, 2048)

	for {
		n, _, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if n >= opt.size && binary.BigEndian.Uint16(buf[2:])%sampled == 0 {
			r.mutex.Lock()
			r.got++
			r.mutex.Unlock()
		}
	}
}
