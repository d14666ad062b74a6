// Package snippet writes what the configuration of a proxy needs so that it asks this gate: the files of
// examples/, with the addresses, policies and header names of one devicegate.yaml in them.
//
// It guarantees that what it writes differs from the tested examples in these values alone, and that no value
// becomes syntax: each is held to the few characters that stand for themselves in every proxy's language, and
// one that is not of them is an error. It fails closed: what a proxy cannot do safely (a listener that is
// off, a socket that it cannot ask through) is an error that names the key, never a snippet that asks nobody.
package snippet

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"devicegate/config"
)

// File is one file of a proxy's configuration.
type File struct {
	Name    string `json:"name"`
	Content string `json:"content"`
	Place   string `json:"place"` // where it belongs, as a sentence without a full stop
}

// Comment returns what begins a comment in the file's language.
func (f File) Comment() string {
	if strings.HasSuffix(f.Name, ".lua") {
		return "--"
	}
	return "#"
}

// Options are what a snippet needs beside the configuration.
type Options struct {
	Upstream   string // the application, host:port; "" means 127.0.0.1:9000
	Policy     string // of all routes that name none; "" means "default"
	ServerName string // in the gate's certificates; "" means the host of its addresses
}

// proxy is one way of asking.
type proxy struct {
	name     string
	unixless bool // it cannot ask over unix sockets
	certless bool // it cannot show a certificate of its own to the gate
	grpc     bool
	files    []part
}

// part is a file that a template makes.
type part struct{ name, template, place string }

func proxies() []proxy {
	beside := func(name string) part {
		return part{name, name, "beside nginx.conf, where its include lines look for it"}
	}
	const dynamic = "the file of Traefik's file provider, or a part of one that is there"
	envoy := func(name string) []part {
		return []part{{name, "envoy.yaml", "Envoy's configuration, or the parts of it that the comment at its head names"}}
	}
	return []proxy{
		{name: "nginx", files: []part{
			{"devicegate.conf", "devicegate.conf", "in http {} by an include line, or its parts in a server that is there"},
			beside("devicegate_check.conf"), beside("devicegate_protected.conf"), beside("devicegate_open.conf"),
		}},
		{name: "traefik", unixless: true, files: []part{
			{"traefik.yaml", "traefik.yaml", "Traefik's static configuration, or what stands below web in an entry point that is there"},
			{"dynamic.yaml", "dynamic.yaml", dynamic},
		}},
		{name: "envoy", grpc: true, files: envoy("envoy_grpc.yaml")},
		{name: "envoy-http", files: envoy("envoy_http.yaml")},
		{name: "caddy", files: []part{{"Caddyfile", "Caddyfile", "Caddy's configuration, or (check) and the route in one that is there"}}},
		{name: "haproxy", certless: true, files: []part{
			{"haproxy.cfg", "haproxy.cfg", "HAProxy's configuration, or its sections in one that is there"},
			{"devicegate.lua", "devicegate.lua", "beside haproxy.cfg, where lua-load looks for it"},
		}},
	}
}

// Proxies returns the names that Render takes.
func Proxies() []string {
	var names []string
	for _, p := range proxies() {
		names = append(names, p.name)
	}
	return names
}

//go:embed templates
var sources embed.FS

// templates have marks that none of the languages has.
var templates = template.Must(template.New("").Delims("<<", ">>").Funcs(template.FuncMap{
	"head": head, "pad": pad, "yaml": yamlWord,
}).ParseFS(sources, "templates/*"))

// Render returns the files of a proxy for the gate that cfg configures, the main one first. Its errors are
// faults of what was asked for, and say which key or option to change.
func Render(name string, cfg *config.Config, o Options) ([]File, error) {
	all := proxies()
	i := slices.IndexFunc(all, func(p proxy) bool { return p.name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no snippet for %.40q; it is one of %s", name, strings.Join(Proxies(), ", "))
	}
	v, err := newView(all[i], cfg, o)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, p := range all[i].files {
		var content bytes.Buffer
		if err := templates.ExecuteTemplate(&content, p.template, v); err != nil {
			return nil, fmt.Errorf("writing %s: %w", p.name, err)
		}
		files = append(files, File{Name: p.name, Content: content.String(), Place: p.place})
	}
	return files, nil
}
