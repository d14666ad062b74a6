package e2e_test

import "os/exec"

// caddy asks with forward_auth.
var caddy = product{
	name: "caddy", program: "caddy", example: "caddy", files: []string{"Caddyfile"},
	command: func(program, dir string) *exec.Cmd {
		cmd := exec.Command(program, "run", "--config", "Caddyfile", "--adapter", "caddyfile")
		// Caddy keeps what it knows of certificates, and marks of its instance, below the home of its user.
		cmd.Env = append(cmd.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return cmd
	},
	literals: func(proxy, backend, checks, api string) []literal {
		return []literal{
			{"Caddyfile", "\n:8080 {", "\nhttp://:" + proxy + " {\n\tbind 127.0.0.1"},
			{"Caddyfile", "127.0.0.1:9000", "127.0.0.1:" + backend},
			{"Caddyfile", "127.0.0.1:9280", "127.0.0.1:" + checks},
			{"Caddyfile", "127.0.0.1:9282", "127.0.0.1:" + api},
		}
	},
}
