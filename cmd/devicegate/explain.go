package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/authz"
	"devicegate/config"
	"devicegate/login"
)

// explainFlags describe a check.
type explainFlags struct {
	token, facts                                bool
	policy, adapter, client, peer, method, host string
	forwarded                                   []string
	origin, preflight                           string
}

func (c *cli) explain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain",
		Short: "Say what a check would be answered, and why",
		Long: `Say what a check would be answered at this moment, and why, step by step, without letting anything in: nothing
is logged, counted or remembered, and no device is seen, registered or ended. It asks the running service through the
admin socket, or, where nothing listens there, the closed file; keys of other issuers behind a jwks_url are not
fetched then.

The token comes from standard input and from nowhere else, alone or as the value of Authorization; without
--token-stdin there is none. Without --peer the proxy is taken for one that may ask, and that it sends all that its endpoint
reads is taken for granted. Under the step that failed stands what was found and what is wanted, with --facts under every
step. What a token claims whose signature is not good is marked as unproved.

Exit code 0: it would pass. 3: it would be refused.

` + reasonsHelp(),
		Example: `  devicegate explain --token-stdin < token
  devicegate explain --token-stdin --policy staff --adapter nginx --client-ip 203.0.113.9 < token
  devicegate explain --method OPTIONS --origin https://app.example --preflight PUT -o json`,
		Args: func(_ *cobra.Command, got []string) error {
			if len(got) > 0 {
				return &usageError{"explain takes no argument; the token comes from standard input with --token-stdin, where nobody else on this machine sees it"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := f.body(c.stdin, c.stderr, cmd.Flags().Changed)
			if err != nil {
				return err
			}
			return c.withAdminOn(cmd.Context(), c.telling(openFileAndKeys, true), func(a *admin) error {
				var e api.Explanation
				if err := a.call(cmd.Context(), http.MethodPost, "/admin/explain", body, &e); err != nil {
					return err
				}
				return c.printExplanation(&e, f.facts)
			})
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.token, "token-stdin", false, "read the access token from standard input, one line")
	flags.StringVar(&f.policy, "policy", "", "the `POLICY` that the proxy names (default: it names none)")
	flags.StringVar(&f.adapter, "adapter", "traefik", "how the proxy asks: "+strings.Join(adapterWords(), ", "))
	flags.StringVar(&f.client, "client-ip", "", "the `IP` that the proxy saw the client come from")
	flags.StringArrayVar(&f.forwarded, "forwarded-for", nil, "a `LINE` of X-Forwarded-For that the proxy sends, instead of --client-ip; can be given several times")
	flags.StringVar(&f.peer, "peer", "", "the `IP` that the proxy asks from")
	flags.StringVar(&f.method, "method", "", "the `METHOD` of the request (default GET)")
	flags.StringVar(&f.host, "host", "", "the `HOST` that the request is for")
	flags.StringVar(&f.origin, "origin", "", "the `ORIGIN` that the request comes from, for a CORS preflight")
	flags.StringVar(&f.preflight, "preflight", "", "the `METHOD` that a CORS preflight asks for")
	flags.BoolVar(&f.facts, "facts", false, "what was found and what is wanted, under every step")
	return cmd
}

// adapterWords returns the adapters as flags and metrics name them.
func adapterWords() []string {
	var all []string
	for _, a := range authz.Adapters() {
		all = append(all, a.String())
	}
	return all
}

// body returns what to ask for; given says which flags were.
func (f *explainFlags) body(stdin io.Reader, stderr io.Writer, given func(string) bool) (*api.ExplainRequest, error) {
	adapter := strings.ReplaceAll(f.adapter, "-", "_")
	if adapter == "envoy" {
		adapter = authz.EnvoyGRPC.String()
	}
	if !slices.Contains(adapterWords(), adapter) {
		return nil, &usageError{fmt.Sprintf("--adapter %.40q: it is one of %s", f.adapter, strings.Join(adapterWords(), ", "))}
	}
	if given("client-ip") && given("forwarded-for") {
		return nil, &usageError{"--client-ip and --forwarded-for say the same in two ways: give one of them"}
	}
	for name, text := range map[string]string{"client-ip": f.client, "peer": f.peer} {
		if _, err := netip.ParseAddr(text); given(name) && err != nil {
			return nil, &usageError{fmt.Sprintf("--%s %.40q: write an address such as 203.0.113.9", name, text)}
		}
	}
	word := api.ExplainRequestAdapter(adapter)
	body := &api.ExplainRequest{Adapter: &word}
	for name, to := range map[string]struct {
		value  *string
		member **string
	}{
		"policy": {&f.policy, &body.Policy}, "client-ip": {&f.client, &body.ClientIp}, "peer": {&f.peer, &body.Peer}, "method": {&f.method, &body.Method},
		"host": {&f.host, &body.Host}, "origin": {&f.origin, &body.Origin}, "preflight": {&f.preflight, &body.PreflightMethod},
	} {
		if given(name) {
			*to.member = to.value
		}
	}
	if len(f.forwarded) > 0 {
		body.ForwardedFor = &f.forwarded
	}
	if f.token {
		if terminal, ok := stdin.(*os.File); ok && isTerminal(terminal) {
			line, err := ask(terminal, stderr, "Access token: ")
			if err != nil {
				return nil, err
			}
			stdin = strings.NewReader(line)
		}
		return body, readToken(stdin, body)
	}
	return body, nil
}

// maxTokenLine bounds what is read from standard input: a token may take 8 KiB, and a longer one is to be explained too.
const maxTokenLine = 12 << 10

// readToken reads a token, or a value of Authorization, which has a space in it.
func readToken(stdin io.Reader, body *api.ExplainRequest) error {
	line, err := bufio.NewReader(io.LimitReader(stdin, maxTokenLine+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the token: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if name, value, found := strings.Cut(line, ":"); found && strings.EqualFold(name, "Authorization") {
		line = strings.TrimSpace(value) // a whole header, copied from a client
	}
	switch {
	case line == "":
		return &usageError{"--token-stdin: standard input is empty"}
	case len(line) > maxTokenLine:
		return &usageError{"--token-stdin: standard input is over 12 KiB in one line, which is no token"}
	case !utf8.ValidString(line):
		return &usageError{"--token-stdin: standard input is not UTF-8, so it is no token"}
	case strings.HasPrefix(line, login.RefreshPrefix):
		return &usageError{"--token-stdin: this is a refresh token, which no proxy is shown: give the access token"}
	case strings.HasPrefix(line, "{"):
		return &usageError{"--token-stdin: this is JSON, perhaps the whole answer of a sign-in: give what its member access says"}
	case strings.Contains(line, " "):
		body.Authorization = &[]string{line}
	default:
		body.Token = &line
	}
	return nil
}

// openFileAndKeys is openFile with the keys of other issuers, which a check needs.
func openFileAndKeys(ctx context.Context, cfg *config.Config) (*admin, error) {
	return openFileWith(ctx, cfg)
}

func (c *cli) printExplanation(e *api.Explanation, facts bool) error {
	refused := e.Outcome != api.Allow
	var err error
	if c.output == "json" {
		err = c.printJSON(e)
	} else {
		_, err = io.WriteString(c.stdout, c.explained(e, facts))
	}
	if err == nil && refused {
		err = &noError{} // it is said already
	}
	return err
}

// marks are the results of steps for eyes.
var marks = map[api.ExplainedStepResult]string{
	api.Passed: "ok", api.Assumed: "ok", api.Failed: "no",
}

// explained returns an explanation as text: a line for each step and one for what it comes to.
func (c *cli) explained(e *api.Explanation, facts bool) string {
	var text strings.Builder
	for _, s := range e.Steps {
		mark, known := marks[s.Result]
		if !known {
			mark = "-"
		}
		line := fmt.Sprintf("%-2s  %-13s  %s", mark, clean(string(s.Step)), clean(s.Detail))
		failed := s.Result == api.Failed
		if failed && c.colour() {
			line = red + line + plain
		}
		fmt.Fprintln(&text, strings.TrimRight(line, " "))
		if failed || facts {
			writeFacts(&text, s.Facts)
		}
	}
	for _, effect := range e.Effects {
		fmt.Fprintf(&text, "A check %s.\n", clean(effect))
	}
	for _, h := range e.SetHeaders {
		fmt.Fprintf(&text, "sets %s: %s\n", clean(h.Name), clean(h.Value))
	}
	if len(e.RemoveHeaders) > 0 {
		fmt.Fprintf(&text, "removes %s\n", clean(strings.Join(e.RemoveHeaders, ", ")))
	}
	fmt.Fprintln(&text, verdict(e))
	return text.String()
}

func writeFacts(to io.Writer, facts []api.ExplainedFact) {
	for _, f := range facts {
		found := f.Found
		if found == "" {
			found = "-"
		}
		line := fmt.Sprintf("      %s: %s", clean(f.Name), clean(found))
		if f.Wanted != "" {
			line += " (wanted: " + clean(f.Wanted) + ")"
		}
		if f.Unproved {
			line += " (unproved)"
		}
		fmt.Fprintln(to, line)
	}
}

// verdict says in one line what a check would come to.
func verdict(e *api.Explanation) string {
	answer := fmt.Sprintf("%s, %s answers %d", clean(e.Reason), clean(e.Adapter), e.Status)
	switch {
	case e.Outcome != api.Allow:
		return "refused: " + answer
	case e.Would != "":
		return "allowed: " + answer + " (the policy only reports; else it would be " + clean(e.Would) + ")"
	default:
		return "allowed: " + answer
	}
}
