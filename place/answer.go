package place

import (
	"cmp"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var errNoObject = errors.New("the answer is no JSON object")

// decode reads a provider's answer, at most maxBody bytes. An answer that is no JSON object (not UTF-8, a member
// twice, something behind the object) is an error: it is not the provider that speaks. An object that says error, or
// has a member of another type, is an answer: the zero Place.
func decode(body []byte) (Place, error) {
	value := jsontext.Value(body)
	if !value.IsValid() || value.Kind() != '{' {
		return Place{}, errNoObject
	}
	var a struct {
		Error       bool   `json:"error"`
		CountryCode string `json:"country_code"`
		Country     string `json:"country"` // a code with some providers, a name with others
		Region      string `json:"region"`
		City        string `json:"city"`
	}
	if err := json.Unmarshal(body, &a); err != nil || a.Error {
		return Place{}, nil
	}
	return clean(cmp.Or(alpha2(a.CountryCode), a.Country), a.Region, a.City), nil
}
