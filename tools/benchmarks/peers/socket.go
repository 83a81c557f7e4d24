package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"unsafe"

	"github.com/pion/dtls/v3"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const profile = dtls.SRTP_AEAD_AES_128_GCM

// What the kernel lets through: all that is not RTP (RFC 7983), and of RTP each 61st number. It
// looks at the UDP header first.
var program = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 8, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xc0},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0x80, SkipTrue: 6},
	bpf.LoadAbsolute{Off: 9, Size: 1},
	bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xe0},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0xc0, SkipTrue: 3}, // RTCP: 192 to 223
	bpf.LoadAbsolute{Off: 10, Size: 2},
	bpf.ALUOpConstant{Op: bpf.ALUOpMod, Val: sampled},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: 0, SkipTrue: 1},
	bpf.RetConstant{Val: 65535},
	bpf.RetConstant{Val: 0},
}

func filter(fd int) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	insns := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		insns[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(insns)), Filter: (*unix.SockFilter)(unsafe.Pointer(&insns[0]))})
}

// listen opens a UDP socket where media is, with the filter if media comes to it. A socket stays
// in the network namespace that it was opened in.
func listen(receives bool) net.PacketConn {
	if opt.netns != "" {
		home, err := os.Open("/proc/thread-self/ns/net")
		check(err, "network namespace")
		defer home.Close()
		away, err := os.Open(opt.netns)
		check(err, opt.netns)
		defer away.Close()
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		check(unix.Setns(int(away.Fd()), unix.CLONE_NEWNET), "its namespace")
		defer func() { check(unix.Setns(int(home.Fd()), unix.CLONE_NEWNET), "back home") }()
	}
	ip := net.ParseIP(opt.local)
	if ip == nil {
		check(fmt.Errorf("'%s'", opt.local), "--local")
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: ip})
	check(err, "socket")
	if receives {
		raw, err := conn.SyscallConn()
		check(err, "socket")
		check(raw.Control(func(fd uintptr) { err = filter(int(fd)) }), "socket")
		check(err, "filter")
	}
	return conn
}
