package doctor_test

import (
	"regexp"
	"strings"
	"testing"

	"devicegate/doctor"
)

// FuzzFiles reads whatever comes in on standard input, as every kind. It always says something or has judged
// something, and each finding is whole.
func FuzzFiles(f *testing.F) {
	for _, text := range sound {
		f.Add(text, "")
	}
	for _, layout := range layouts {
		for _, text := range layout {
			f.Add(text, "")
		}
	}
	for _, text := range soundManifests {
		f.Add(text, "")
	}
	for _, proxy := range doctor.Proxies {
		f.Add("a {\n b\n}", proxy)
	}
	f.Fuzz(func(t *testing.T, text, proxy string) {
		if strings.Contains(text, "include") || strings.Contains(text, "import") || strings.Contains(text, "load") || strings.Contains(strings.ToLower(text), "file") {
			return // it would read the disk
		}
		report := doctor.Files([]string{"-"}, doctor.Options{Stdin: strings.NewReader(text), Proxy: proxy})
		// The gate's pods and Istio's mesh are judged without anybody who asks.
		manifests := report.Rules > 0 && regexp.MustCompile(`(?i)api_*version|extension_*providers|mesh_*config`).MatchString(text)
		if len(report.Findings) == 0 && report.Asks == 0 && len(report.Skipped) == 0 && !manifests {
			t.Fatal("clean, and nothing was judged")
		}
		for _, one := range report.Findings {
			if one.Code == "" || one.Where == "" || one.Problem == "" || one.Fix == "" {
				t.Fatalf("%+v", one)
			}
		}
	})
}
