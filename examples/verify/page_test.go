package verify_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestPage: the code in docs/assertion.md is the code that is tested.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/assertion.md")
	if err != nil {
		t.Fatal(err)
	}
	for language, file := range map[string]string{"go": "go/main.go", "python": "python/verify.py"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1)
		if len(blocks) != 1 || !strings.Contains(string(source), blocks[0][1]) {
			t.Errorf("the page's %s is not in %s", language, file)
		}
	}
}

// TestKeysAreFetchedEveryMinute: as the page says. What keeps them for longer believes a key that was retired at once,
// because it is in other hands.
func TestKeysAreFetchedEveryMinute(t *testing.T) {
	for file, says := range map[string]string{
		"go/main.go": "WithRefreshInterval(time.Minute)", "python/verify.py": "PyJWKClient(jwks_url, lifespan=60,", "../../docs/assertion.md": "and again every minute",
	} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(source), says) {
			t.Errorf("%s does not say %q", file, says)
		}
	}
}
