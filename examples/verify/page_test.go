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
