package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"devicegate/config"
	"devicegate/doctor"
	"devicegate/safetext"
)

func (c *cli) doctor() *cobra.Command {
	var via viaFlags
	cmd := &cobra.Command{
		Use:   "doctor [--via URL] [FILE]...",
		Short: "Prove an installation: find what opens a hole between proxy and gate",
		Long: `Read the configuration of the proxy, and of the gate, for the settings that are known to open a hole, and say for
each where it stands, what gets through, and the line to write. FILE is a configuration of nginx (with its
includes, or the output of nginx -T), Traefik (static and dynamic, YAML or TOML), Envoy (YAML, JSON or a config_dump),
Caddy or HAProxy (with its Lua), manifests of Kubernetes for these, for Envoy Gateway and for Istio, a devicegate.yaml, a
folder with such files, or - for standard input. All files are judged together. What cannot be read or judged is a finding
too.

The names of the identity headers and the policies are those of --config, else of a devicegate.yaml among the files,
else the defaults.

` + viaHelp + `

Exit code 0: no finding, 3: findings, one a line on standard output, 1: it failed, 2: usage. The codes are in
docs/doctor.md.`,
		Example: `  devicegate doctor /etc/nginx/nginx.conf /etc/devicegate/devicegate.yaml
  nginx -T 2>/dev/null | devicegate doctor -
  devicegate doctor -o json deploy/traefik/
  devicegate doctor --via https://app.example.com/doctor`,
		Args:              args(cobra.ArbitraryArgs),
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
		RunE: func(cmd *cobra.Command, files []string) error {
			return c.examine(cmd, files, &via)
		},
	}
	via.register(cmd)
	// The files have the same question to answer as the probes.
	cmd.Flags().Lookup("proxy").Usage = "the `KIND` of proxy that all FILEs are of, or that --via leads through: " + strings.Join(doctor.Proxies, ", ")
	if err := cmd.RegisterFlagCompletionFunc("proxy", words(doctor.Proxies...)); err != nil {
		panic(err) // a flag that was there a moment ago
	}
	return cmd
}

// examine reads the files, sends the probes, and says what was found.
func (c *cli) examine(cmd *cobra.Command, files []string, via *viaFlags) error {
	probing, err := via.on(cmd)
	if err != nil {
		return err
	}
	if !probing && len(files) == 0 {
		return &usageError{"nothing to look at: name files, a folder, - for standard input, or --via URL; see devicegate doctor --help"}
	}
	if via.proxy != "" && !slices.Contains(doctor.Proxies, via.proxy) && len(files) > 0 {
		return &usageError{fmt.Sprintf("--proxy %.40q: it is one of %s", via.proxy, strings.Join(doctor.Proxies, ", "))}
	}
	var findings []doctor.Finding
	var summary []string
	if len(files) > 0 {
		report := doctor.Files(files, c.reading(via.proxy))
		findings = report.Findings
		for _, s := range report.Skipped {
			fmt.Fprintln(c.stderr, "Not judged:", safetext.Bound(s, 1000))
		}
		summary = append(summary, fmt.Sprintf("%s read, %s the gate, %d rules applied", counted(len(report.Read), "file", "files"), counted(report.Asks, "place asks", "places ask"), report.Rules))
	}
	if probing {
		found, err := via.probe(cmd.Context(), c)
		if err != nil && len(findings) > 0 {
			_ = c.findings(findings, "") // what the files showed is true all the same; that it failed is the answer
		}
		if err != nil {
			return err
		}
		findings, summary = append(findings, found...), append(summary, "probes sent")
	}
	return c.findings(findings, strings.Join(summary, ", "))
}

// reading is how the files are read: with the gate's configuration where there is one.
func (c *cli) reading(proxy string) doctor.Options {
	o := doctor.Options{Proxy: proxy, Stdin: c.stdin}
	name, required := c.file()
	if _, err := os.Stat(name); required || err == nil {
		o.Config = config.Source{File: name, FileRequired: required, Environ: c.environ}
	}
	return o
}

// findings prints one finding a line, and the summary as the last line of stderr. With a finding the answer is no.
func (c *cli) findings(all []doctor.Finding, summary string) error {
	for _, f := range all {
		var err error
		if c.output == "json" {
			err = c.printJSON(f)
		} else {
			_, err = fmt.Fprintln(c.stdout, f)
		}
		if err != nil {
			return err
		}
	}
	summary += fmt.Sprintf(": %d findings", len(all))
	if len(all) == 1 {
		summary = strings.TrimSuffix(summary, "s")
	}
	if len(all) > 0 {
		return &noError{summary}
	}
	fmt.Fprintln(c.stderr, "devicegate:", summary)
	return nil
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
