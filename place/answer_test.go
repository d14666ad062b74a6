package place_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"devicegate/place"
)

// decodes is the table of what providers answer. broken: not the provider's word.
var decodes = []struct {
	name, body string
	want       place.Place
	broken     bool
}{
	{"ipapi.co", `{"ip":"81.2.69.142","version":"IPv4","city":"Berlin","region":"Land Berlin","region_code":"BE",
		"country":"DE","country_name":"Germany","country_code":"DE","in_eu":true,"latitude":52.5,"asn":"AS1"}`, berlin, false},
	{"country instead", `{"country":"DE","region":"Land Berlin","city":"Berlin"}`, berlin, false},
	{"a name for country", `{"country":"Germany","city":"Berlin"}`, place.Place{City: "Berlin"}, false},
	{"code before name", `{"country":"Germany","country_code":"DE"}`, place.Place{Country: "DE"}, false},
	{"no code before a code", `{"country":"DE","country_code":"DEU"}`, place.Place{Country: "DE"}, false},
	{"lower case", `{"country_code":"de"}`, place.Place{Country: "DE"}, false},
	{"digits", `{"country_code":"A1"}`, place.Place{}, false},
	{"not ASCII", `{"country_code":"Ü"}`, place.Place{}, false},
	{"unknown", `{"country_code":"XX"}`, place.Place{}, false},
	{"null", `{"country_code":"DE","region":null,"city":null,"error":null}`, place.Place{Country: "DE"}, false},
	{"empty", `{}`, place.Place{}, false},
	{"an error", `{"error":true,"reason":"Reserved IP Address","country_code":"DE"}`, place.Place{}, false},
	{"no error", `{"error":false,"country_code":"DE"}`, place.Place{Country: "DE"}, false},
	{"an error of another type", `{"error":"quota","country_code":"DE"}`, place.Place{}, false},
	{"a number", `{"country_code":"DE","city":17}`, place.Place{}, false},
	{"an object", `{"country_code":"DE","region":{"name":"Land Berlin"}}`, place.Place{}, false},
	{"a list", `{"country_code":["DE"]}`, place.Place{}, false},
	{"another case", `{"COUNTRY_CODE":"DE"}`, place.Place{}, false},
	{"escapes", `{"city":"a\u0000\u001b[31m\r\nb\u202ec"}`, place.Place{City: "a\uFFFD\uFFFD[31m\uFFFD\uFFFDb\uFFFDc"}, false},
	{"long", `{"city":"` + strings.Repeat("ü", 7000) + `"}`, place.Place{City: strings.Repeat("ü", 50)}, false},
	{"cut between characters", `{"city":"x` + strings.Repeat("ü", 7000) + `"}`, place.Place{City: "x" + strings.Repeat("ü", 49)}, false},
	{"spaces", `{"city":"  ","country_code":"DE"}`, place.Place{Country: "DE"}, false},

	{"nothing", ``, place.Place{}, true},
	{"cut off", `{"country_code":"DE","city":"Ber`, place.Place{}, true},
	{"HTML", `<html>Please sign in to the Wi-Fi</html>`, place.Place{}, true},
	{"an array", `[{"country_code":"DE"}]`, place.Place{}, true},
	{"a string", `"DE"`, place.Place{}, true},
	{"null alone", `null`, place.Place{}, true},
	{"two objects", `{"country_code":"DE"}{"country_code":"NO"}`, place.Place{}, true},
	{"a member twice", `{"country_code":"DE","country_code":"NO"}`, place.Place{}, true},
	{"not UTF-8", "{\"city\":\"K\xf6ln\"}", place.Place{}, true},
	{"deep arrays", strings.Repeat("[", 16000), place.Place{}, true},
	{"deep and closed", `{"x":` + strings.Repeat("[", 8000) + strings.Repeat("]", 8000) + `,"country_code":"DE"}`,
		place.Place{Country: "DE"}, false},
	{"deep objects", strings.Repeat(`{"a":`, 3000), place.Place{}, true},
}

func TestDecode(t *testing.T) {
	for _, c := range decodes {
		got, err := place.Decode([]byte(c.body))
		if got != c.want || (err != nil) != c.broken {
			t.Errorf("%s: %+v, %v, want %+v, broken: %t", c.name, got, err, c.want, c.broken)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range decodes {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := place.Decode(body)
		if err != nil && p.Known() {
			t.Errorf("an error and %+v", p)
		}
		if len(p.Country) != 0 && len(p.Country) != 2 || strings.ToUpper(p.Country) != p.Country {
			t.Errorf("country %q", p.Country)
		}
		for _, s := range []string{p.Country, p.Region, p.City} {
			if len(s) > 100 || !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
				t.Errorf("text %q", s)
			}
		}
	})
}

func unprintable(r rune) bool { return r != utf8.RuneError && !unicode.IsPrint(r) }
