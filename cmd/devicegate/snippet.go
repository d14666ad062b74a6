package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"devicegate/snippet"
)

// snippetFlags are the flags of devicegate snippet.
type snippetFlags struct {
	options snippet.Options
	dir     string
	force   bool
}

// snippetOutput is what is printed as JSON.
type snippetOutput struct {
	Proxy string         `json:"proxy"`
	Files []snippet.File `json:"files"`
}

func (c *cli) snippet() *cobra.Command {
	var flags snippetFlags
	cmd := &cobra.Command{
		Use:   "snippet PROXY",
		Short: "Print what a proxy's configuration needs to ask this gate",
		Long: `Print what a proxy's configuration needs so that it asks this gate: the tested example, with the addresses,
policies and header names of this configuration in it. PROXY is ` + oneOf(snippet.Proxies()) + `
(envoy asks over gRPC, envoy-http over HTTP).

Several files come in one stream, each under a comment that names it and says where it belongs; --dir writes
them instead. The comment at the head says what else must be true, and which certificates to fill in.`,
		Example: `  devicegate snippet nginx
  devicegate snippet traefik --upstream 10.0.0.7:8000 --policy staff
  devicegate snippet haproxy --dir /etc/haproxy/devicegate`,
		Args:              args(cobra.ExactArgs(1)),
		ValidArgsFunction: completeProxies,
		RunE:              func(_ *cobra.Command, names []string) error { return c.writeSnippet(names[0], flags) },
	}
	cmd.Flags().StringVar(&flags.options.Upstream, "upstream", "127.0.0.1:9000", "`HOST:PORT` of the application")
	cmd.Flags().StringVar(&flags.options.Policy, "policy", "default", "`POLICY` of all routes that name none")
	cmd.Flags().StringVar(&flags.options.ServerName, "server-name", "", "`NAME` in the gate's certificates, where its addresses have none")
	cmd.Flags().StringVar(&flags.dir, "dir", "", "write the files into the folder `DIR`, made when missing")
	cmd.Flags().BoolVar(&flags.force, "force", false, "with --dir: replace files that are there")
	return cmd
}

// oneOf joins names for a sentence.
func oneOf(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// completeProxies offers the names of proxies.
func completeProxies(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return snippet.Proxies(), cobra.ShellCompDirectiveNoFileComp
}

func (c *cli) writeSnippet(proxy string, flags snippetFlags) error {
	if flags.force && flags.dir == "" {
		return &usageError{"--force is for --dir; see devicegate snippet --help"}
	}
	cfg, err := c.load()
	if err != nil {
		return err
	}
	files, err := snippet.Render(proxy, cfg, flags.options)
	if err != nil {
		return &usageError{err.Error()}
	}
	if flags.dir != "" {
		if err := writeFiles(flags.dir, files, flags.force); err != nil {
			return err
		}
	}
	switch {
	case c.output == "json":
		return c.printJSON(snippetOutput{proxy, files})
	case flags.dir != "":
		return c.printWritten(flags.dir, files)
	}
	return c.printFiles(files)
}

func (c *cli) printFiles(files []snippet.File) error {
	var out strings.Builder
	for i, f := range files {
		if i > 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%s ==== %s: %s\n%s", f.Comment(), f.Name, f.Place, f.Content)
	}
	_, err := fmt.Fprint(c.stdout, out.String())
	return err
}

func (c *cli) printWritten(dir string, files []snippet.File) error {
	for _, f := range files {
		if _, err := fmt.Fprintf(c.stdout, "%s: %s\n", filepath.Join(dir, f.Name), f.Place); err != nil {
			return err
		}
	}
	return nil
}

// writeFiles writes the files into dir. Unless force is set, none is written where one of them is there
// already.
func writeFiles(dir string, files []snippet.File, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	there := slices.IndexFunc(files, func(f snippet.File) bool {
		_, err := os.Lstat(filepath.Join(dir, f.Name))
		return !errors.Is(err, fs.ErrNotExist)
	})
	if there >= 0 && !force {
		return fmt.Errorf("%s is there already; nothing was written. Use another --dir, or --force to replace it", filepath.Join(dir, files[there].Name))
	}
	write := createFile
	if force {
		write = replaceFile
	}
	for _, f := range files {
		if err := write(filepath.Join(dir, f.Name), f.Content); err != nil {
			return err
		}
	}
	return nil
}

// replaceFile puts a whole file in place at once: a proxy that reloads meanwhile reads the old one or the new one.
func replaceFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".devicegate-snippet-*")
	if err != nil {
		return err
	}
	if err = fill(f, content); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// createFile makes a file. One that somebody made since writeFiles looked stays as it is.
func createFile(path, content string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return fill(f, content)
}

// fill writes and closes a file that proxies, which run as other users, may read.
func fill(f *os.File, content string) error {
	_, err := f.WriteString(content)
	return errors.Join(err, f.Chmod(0o644), f.Close())
}
