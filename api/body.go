package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"devicegate/problem"
)

// MaxBody is the largest body that is read, in bytes.
const MaxBody = 16 << 10

// invalidError refuses a body for what is in it; every fault is named.
type invalidError struct{ faults []problem.Fault }

func (e *invalidError) Error() string { return fmt.Sprintf("invalid body: %d faults", len(e.faults)) }

func invalid(pointer, detail string) error {
	return &invalidError{faults: []problem.Fault{{Pointer: pointer, Detail: detail}}}
}

// parseError refuses a body that is not JSON.
type parseError struct{ detail string }

func (e *parseError) Error() string { return e.detail }

var (
	errTooLarge  = errors.New("the body is too large")
	errMediaType = errors.New("the body is not declared as JSON")
	errPacked    = errors.New("the body is packed")
)

// decode reads the body into a T, whose JSON members are the ones that the call names: pointers are
// optional, all others must be there. ignored are members that may be sent and do nothing. All faults
// are reported at once. A member that occurs twice is refused, because two readers may take another one
// of them.
func decode[T any](c echo.Context, ignored ...string) (T, error) {
	var into T
	raw, err := readBody(c)
	if err != nil {
		return into, err
	}
	members, err := parseObject(raw)
	if err != nil {
		return into, err
	}
	var faults []problem.Fault
	fields := reflect.ValueOf(&into).Elem()
	known := map[string]bool{}
	for i := range fields.NumField() {
		name, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
		known[name] = true
		if detail := decodeMember(members[name], fields.Field(i)); detail != "" {
			faults = append(faults, problem.Fault{Pointer: pointerTo(name), Detail: detail})
		}
	}
	for name := range members {
		if !known[name] && !slices.Contains(ignored, name) {
			faults = append(faults, problem.Fault{Pointer: pointerTo(name), Detail: "This member is not known here. " + knownMembers(known)})
		}
	}
	if len(faults) > 0 {
		return into, &invalidError{faults: bounded(faults)}
	}
	return into, nil
}

// maxFaults bounds an answer, which would else be ten times as long as a body of nothing but faults.
const maxFaults = 32

// bounded returns the first faults in the order of their members.
func bounded(faults []problem.Fault) []problem.Fault {
	slices.SortFunc(faults, func(a, b problem.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	if more := len(faults) - maxFaults; more > 0 {
		faults = append(faults[:maxFaults], problem.Fault{Detail: fmt.Sprintf("And %d more members are refused.", more)})
	}
	return faults
}

// noBody refuses members on a call that names none.
func noBody(c echo.Context) error {
	if c.Request().ContentLength == 0 {
		return nil
	}
	raw, err := readBounded(c)
	if err != nil || len(raw) == 0 {
		return err
	}
	if err := checkMediaType(c); err != nil {
		return err
	}
	members, err := parseObject(raw)
	if err != nil {
		return err
	}
	for name := range members {
		return invalid(pointerTo(name), "This member is not known here. The call takes none.")
	}
	return nil
}

// receive reads the body, or as much of it as is ever looked at, so that what is decided next is decided now
// and not when the request began: its sender can hold the body back for as long as a request may take.
func receive(c echo.Context) {
	r := c.Request()
	if r.Body == nil || r.ContentLength == 0 {
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = brokenOff{err}
	}
	r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), rest))
}

// brokenOff is the rest of a body that broke off.
type brokenOff struct{ err error }

func (b brokenOff) Read([]byte) (int, error) { return 0, b.err }

func readBody(c echo.Context) ([]byte, error) {
	if err := checkMediaType(c); err != nil {
		return nil, err
	}
	return readBounded(c)
}

func readBounded(c echo.Context) ([]byte, error) {
	if c.Request().ContentLength > MaxBody {
		return nil, errTooLarge
	}
	raw, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge
	case err != nil:
		return nil, &parseError{detail: "The body broke off."}
	}
	return raw, nil
}

func checkMediaType(c echo.Context) error {
	media, _, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return errMediaType
	}
	// RFC 9110 section 15.5.16. Nothing here unpacks, so that no bomb can be sent; and nobody shall believe that what
	// says it is packed was read as if it were not.
	for _, coding := range c.Request().Header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return errPacked
		}
	}
	return nil
}

// parseObject returns the members of the one JSON object that raw must be.
func parseObject(raw []byte) (map[string]jsontext.Value, error) {
	var members map[string]jsontext.Value
	err := json.Unmarshal(raw, &members)
	var syntactic *jsontext.SyntacticError
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, invalid("", "A member occurs twice.")
	case errors.As(err, &syntactic), len(raw) == 0, errors.Is(err, io.ErrUnexpectedEOF):
		return nil, &parseError{detail: "The body is not one JSON object."}
	case err != nil && !jsontext.Value(raw).IsValid(jsontext.AllowDuplicateNames(true)): // an array that breaks off
		return nil, &parseError{detail: "The body is not one JSON object."}
	case err != nil, members == nil:
		return nil, invalid("", "The body must be a JSON object.")
	}
	return members, nil
}

// decodeMember sets field from value, or says what is wrong.
func decodeMember(value jsontext.Value, field reflect.Value) string {
	optional := field.Kind() == reflect.Pointer
	switch {
	case value == nil && optional:
		return ""
	case value == nil:
		return "This field is required."
	case value.Kind() == 'n':
		return "This field may not be null."
	}
	if err := json.Unmarshal(value, field.Addr().Interface()); err != nil {
		return "This must be " + describe(field.Type()) + "."
	}
	return ""
}

func describe(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list of strings"
	default:
		return "of another type"
	}
}

// pointerTo returns the JSON pointer of a member, bounded because the name may be the client's.
func pointerTo(name string) string {
	const longest = 64
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[:longest]) + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func knownMembers(known map[string]bool) string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return "Known are: " + strings.Join(names, ", ") + "."
}
