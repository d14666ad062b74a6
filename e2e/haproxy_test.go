package e2e_test

import "os/exec"

// haproxy asks with the Lua action of the example.
var haproxy = product{
	name: "haproxy", program: "haproxy", example: "haproxy", files: []string{"haproxy.cfg", "devicegate.lua"},
	command: func(program, _ string) *exec.Cmd {
		// In the foreground, so that ending it ends all of HAProxy.
		return exec.Command(program, "-db", "-f", "haproxy.cfg")
	},
	literals: func(proxy, backend, checks, api string) []literal {
		return []literal{
			{"haproxy.cfg", "bind :8080", "bind 127.0.0.1:" + proxy},
			{"haproxy.cfg", "127.0.0.1:9000", "127.0.0.1:" + backend},
			{"haproxy.cfg", "127.0.0.1:9280", "127.0.0.1:" + checks},
			{"haproxy.cfg", "127.0.0.1:9282", "127.0.0.1:" + api},
		}
	},
}
