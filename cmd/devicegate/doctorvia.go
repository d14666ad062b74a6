package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"devicegate/config"
	"devicegate/doctor"
	"devicegate/doctor/probe"
	"devicegate/safetext"
)

// viaHelp is the part of doctor's help that is about --via.
const viaHelp = `With --via URL it sends requests through your own proxy to the running gate: without a token, with broken ones, with
identity headers in every spelling, with X-Forwarded-* and X-Original-*, OPTIONS, upgrades, odd paths, and with a
token whose roles, device and account it takes away between two requests. URL is a path below which everything is
protected by --policy. With --listen ADDR it is the backend as well and sees what really arrives: route that path
there for the test, and the path of --open, which asks no gate. At most 400 requests are sent. It makes an account
devicegate-doctor-... with the roles that the policy demands and removes it at the end.`

// viaFlags are the flags of doctor that need a running gate and a proxy.
type viaFlags struct {
	url, listen, open, host, policy, proxy, caFile string
	insecure                                       bool
	timeout                                        time.Duration
}

func (v *viaFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&v.url, "via", "", "`URL` of a protected path at your proxy: send requests through it")
	f.StringVar(&v.listen, "listen", "", "with --via: be the backend too, at this `ADDRESS` (host:port)")
	f.StringVar(&v.open, "open", "", "with --via: a `PATH` of the same proxy that asks no gate, such as /open/")
	f.StringVar(&v.policy, "policy", config.DefaultPolicy, "with --via: the `POLICY` that the path goes by")
	f.StringVar(&v.host, "host", "", "with --via: the `NAME` for the header Host, if not that of URL")
	f.StringVar(&v.proxy, "proxy", "", "with --via: the `KIND` of proxy, for the fixes: "+strings.Join(doctor.Proxies, ", "))
	f.StringVar(&v.caFile, "ca-file", "", "with --via: a PEM `FILE` of authorities for the proxy's certificate")
	f.BoolVar(&v.insecure, "insecure", false, "with --via: do not look at the proxy's certificate")
	f.DurationVar(&v.timeout, "timeout", 5*time.Second, "with --via: the `TIME` that one request may take")
}

// on says whether the proxy is to be probed; an error says that a flag makes no sense without it.
func (v *viaFlags) on(cmd *cobra.Command) (bool, error) {
	if v.url != "" {
		return true, nil
	}
	for _, name := range []string{"listen", "open", "policy", "host", "ca-file", "insecure", "timeout"} {
		if cmd.Flags().Changed(name) {
			return false, &usageError{fmt.Sprintf("--%s needs --via URL; see devicegate doctor --help", name)}
		}
	}
	return false, nil
}

// probe sends the probes and returns what they found. What they could not look at is told on stderr.
func (v *viaFlags) probe(ctx context.Context, c *cli) ([]doctor.Finding, error) {
	cfg, err := c.load()
	if err != nil {
		return nil, err
	}
	way, err := v.way(cfg)
	if err != nil {
		return nil, err
	}
	a, err := dialService(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, fmt.Errorf("nobody answers on the admin socket %s: --via needs the running gate; start devicegate serve, or name its configuration with --config", cfg.AdminSocket())
	}
	defer func() { _ = a.close() }()
	if way.Gate, err = gateOf(cfg, a, v.timeout); err != nil {
		return nil, err
	}
	way.Gate.Now, way.Log = c.now, c.stderr
	report, err := way.Run(ctx)
	for _, u := range report.Unproved {
		fmt.Fprintln(c.stderr, "Not proved:", safetext.Bound(u, 1000))
	}
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.stderr, "Sent %d requests through %s.\n", report.Requests, safetext.Bound(v.url, 200))
	return report.Findings, nil
}

// way is what the flags and the configuration say of the way through the proxy.
func (v *viaFlags) way(cfg *config.Config) (probe.Via, error) {
	target, err := url.Parse(v.url)
	if err != nil || target.Hostname() == "" || !slices.Contains([]string{"http", "https"}, target.Scheme) || target.User != nil || target.RawQuery != "" || target.Fragment != "" {
		return probe.Via{}, &usageError{fmt.Sprintf("--via %.200q: write a URL such as https://app.example.com/doctor, without query and user", v.url)}
	}
	policy, known := cfg.Policies[v.policy]
	if !known {
		return probe.Via{}, &usageError{fmt.Sprintf("--policy %.40q: the configuration has no such policy", v.policy)}
	}
	if v.proxy != "" && !slices.Contains(doctor.Proxies, v.proxy) {
		return probe.Via{}, &usageError{fmt.Sprintf("--proxy %.40q: it is one of %s", v.proxy, strings.Join(doctor.Proxies, ", "))}
	}
	if strings.ContainsAny(v.host, " \t\r\n/") {
		return probe.Via{}, &usageError{fmt.Sprintf("--host %.80q: write a name, and a port if need be", v.host)}
	}
	if _, _, err := net.SplitHostPort(v.listen); v.listen != "" && err != nil {
		return probe.Via{}, &usageError{fmt.Sprintf("--listen %.80q: write host:port", v.listen)}
	}
	if v.open != "" && !strings.HasPrefix(v.open, "/") {
		return probe.Via{}, &usageError{fmt.Sprintf("--open %.80q: write a path such as /open/", v.open)}
	}
	if v.timeout <= 0 {
		return probe.Via{}, &usageError{"--timeout must be longer than nothing"}
	}
	proof, err := v.proof()
	return probe.Via{
		URL: target, Host: v.host, Open: v.open, Listen: v.listen, Proxy: v.proxy, TLS: proof, Timeout: v.timeout,
		Policy: demands(v.policy, policy), Trusted: cfg.TrustedProxies,
		Identity: probe.Identity{User: cfg.IdentityHeaders.User, Roles: cfg.IdentityHeaders.Roles, Device: cfg.IdentityHeaders.Device, Assertion: cfg.IdentityHeaders.Assertion},
	}, err
}

// proof is how the proxy has to prove itself.
func (v *viaFlags) proof() (*tls.Config, error) {
	proof := &tls.Config{InsecureSkipVerify: v.insecure} //nolint:gosec // the operator asked for it, about a proxy of his own
	if v.host != "" {
		proof.ServerName = (&url.URL{Host: v.host}).Hostname()
	}
	if v.caFile == "" {
		return proof, nil
	}
	content, err := os.ReadFile(v.caFile)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	proof.RootCAs = x509.NewCertPool()
	if !proof.RootCAs.AppendCertsFromPEM(content) {
		return nil, &usageError{fmt.Sprintf("--ca-file %.200q holds no certificate in PEM", v.caFile)}
	}
	return proof, nil
}

// demands is what the probes have to know of a policy.
func demands(name string, p config.Policy) probe.Policy {
	roles := slices.Clone(p.RequireAllRoles)
	if len(p.RequireRoles) > 0 && !slices.ContainsFunc(p.RequireRoles, func(r string) bool { return slices.Contains(roles, r) }) {
		// Any of them will do: an admin is made only where nobody else is let in.
		least := slices.IndexFunc(p.RequireRoles, func(r string) bool { return r != "admin" })
		roles = append(roles, p.RequireRoles[max(least, 0)])
	}
	return probe.Policy{
		Name: name, Roles: roles, Anonymous: p.Anonymous == config.PolicyAllow, Preflight: p.CORSPreflight == config.PolicyAllow,
		Report: p.Mode == config.PolicyReport, RemovesToken: p.Authorization == config.PolicyRemove,
	}
}

// gateOf is the running gate as the configuration describes it.
func gateOf(cfg *config.Config, a *admin, timeout time.Duration) (probe.Gate, error) {
	// A sign-in waits for a place to hash the password.
	people := &http.Client{Transport: dialing(cfg.API.Address), Timeout: timeout + 10*time.Second}
	gate := probe.Gate{Admin: a.client, API: people, Base: "http://api" + cfg.API.BasePath}
	if cfg.API.Address.Off() {
		return gate, errors.New("api.address is off, so that nobody can sign in: the probes need a token")
	}
	if cfg.API.TLS.On() {
		pinned, err := pinnedTo(cfg.API.TLS.CertFile)
		if err != nil {
			return gate, fmt.Errorf("api.tls.cert_file: %w", err)
		}
		people.Transport.(*http.Transport).TLSClientConfig = pinned
		gate.Base = "https://api" + cfg.API.BasePath
	}
	if !cfg.Operations.Address.Off() {
		gate.Operations = &http.Client{Transport: dialing(cfg.Operations.Address), Timeout: timeout}
	}
	return gate, nil
}

// pinnedTo trusts exactly the certificate of the file, whatever name it is for: the address is the service's own,
// and the names in the certificate are those that clients use.
func pinnedTo(file string) (*tls.Config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // the certificate is compared byte by byte instead
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 || !bytes.Equal(state.PeerCertificates[0].Raw, block.Bytes) {
				return errors.New("the API shows another certificate than api.tls.cert_file")
			}
			return nil
		},
	}, nil
}
