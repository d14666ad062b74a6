package dbtest

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// intercepted are the calls by which a file's content or name comes to be, and to last.
var intercepted = map[uint32]string{
	unix.SYS_PWRITE64: "write", unix.SYS_FTRUNCATE: "truncate", unix.SYS_FDATASYNC: "sync", unix.SYS_FSYNC: "sync",
	unix.SYS_LINKAT: "link", unix.SYS_RENAMEAT2: "rename", unix.SYS_UNLINKAT: "remove",
}

// The kernel's struct seccomp_notif, and its struct seccomp_notif_resp.
type (
	notification struct {
		id         uint64
		pid, flags uint32
		call, arch uint32
		pointer    uint64
		args       [6]uint64
	}
	response struct {
		id    uint64
		value int64
		errno int32
		flags uint32
	}
)

// Intercept has the kernel ask decide before each later call of this process that writes, truncates, syncs, links,
// renames or removes a file. decide is given the call's number, from 1, and its kind, one after the other; it returns 0 to
// let it happen or the error that the caller gets instead of it, and may end the process. There is no way back, so it
// is for the children of tests. It needs no privilege; the error says where the kernel does not offer it.
//
// What decide itself and what it waits for do must not be such a call.
func Intercept(decide func(n int, kind string) unix.Errno) error {
	listener, err := installFilter()
	if err != nil {
		return fmt.Errorf("the kernel does not hand over system calls: %w", err)
	}
	go func() {
		runtime.LockOSThread()
		for n := 1; ; n++ {
			asked, err := receive(listener)
			if err != nil {
				panic(fmt.Sprintf("receiving a system call: %v", err))
			}
			answer := response{id: asked.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
			if errno := decide(n, intercepted[asked.call]); errno != 0 {
				answer.errno, answer.flags = -int32(errno), 0
			}
			if err := control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&answer)); err != nil {
				panic(fmt.Sprintf("answering a system call: %v", err))
			}
		}
	}()
	return nil
}

// receive returns the next call. One that a signal of the runtime broke off before it was received is gone (ENOENT,
// seccomp_unotify(2)), and comes again when the kernel restarts it.
func receive(listener uintptr) (asked notification, err error) {
	for {
		asked = notification{}
		err = control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&asked))
		if !errors.Is(err, unix.ENOENT) {
			return asked, err
		}
	}
}

func control(fd uintptr, request uint, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uintptr(request), uintptr(argument))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// installFilter puts the filter over every thread, those to come included, and returns where the kernel asks.
func installFilter() (listener uintptr, err error) {
	runtime.LockOSThread() // the next two belong together
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	program := filter()
	f := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// A signal of the runtime must not break a call off that was handed over: it would be counted twice.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_TSYNC |
		unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&f)))
	if errno != 0 {
		return 0, errors.Join(errno)
	}
	return fd, nil
}

func filter() []unix.SockFilter {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number of the call is the first word
	for call := range intercepted {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: call, Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	return append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
}
