package abuse_test

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields of envoy.service.auth.v3 that are written here, by hand: what is sent need not be what
// a generated message could say.
const (
	fieldAttributes = 1
	fieldSource     = 1 // of the attributes
	fieldRequest    = 4
	fieldHTTP       = 2 // of the request
	fieldMethod     = 2 // of http
	fieldHeaders    = 3
	fieldPath       = 4
	fieldHost       = 5
	fieldScheme     = 6
	fieldRawBody    = 12
	fieldHeaderMap  = 13
)

// field returns one field with a length: a text, bytes or a message of more fields.
func field[Content string | []byte](number protowire.Number, content Content) []byte {
	b := protowire.AppendTag(nil, number, protowire.BytesType)
	return protowire.AppendBytes(b, []byte(content))
}

func join(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func header(name, value string) []byte {
	return field(fieldHeaders, join(field(1, name), field(2, value)))
}

// checkOf returns a CheckRequest around the fields of http.
func checkOf(http ...[]byte) []byte {
	address := field(1, field(1, join(field(2, "203.0.113.9"), protowire.AppendVarint(protowire.AppendTag(nil, 3, protowire.VarintType), 40000))))
	return field(fieldAttributes, join(field(fieldSource, address), field(fieldRequest, field(fieldHTTP, join(http...)))))
}

// checkRequest returns an ordinary CheckRequest; token may be empty.
func checkRequest(token string, more ...[]byte) []byte {
	http := [][]byte{field(fieldMethod, "GET"), field(fieldPath, "/orders/1"), field(fieldHost, "app.example"), field(fieldScheme, "https")}
	if token != "" {
		http = append(http, header("authorization", "Bearer "+token))
	}
	return checkOf(append(http, more...)...)
}

// allowed reads a CheckResponse as Envoy does: without a status, or with the code 0, it is an allow. readable is false
// for what is no such message.
func allowed(response []byte) (allow, readable bool) {
	allow = true
	for len(response) > 0 {
		number, kind, n := protowire.ConsumeTag(response)
		if n < 0 {
			return allow, false
		}
		response = response[n:]
		if n = protowire.ConsumeFieldValue(number, kind, response); n < 0 {
			return allow, false
		}
		if number == 1 && kind == protowire.BytesType {
			status, _ := protowire.ConsumeBytes(response)
			allow = code(status) == 0
		}
		response = response[n:]
	}
	return allow, true
}

// code returns the code of a google.rpc.Status.
func code(status []byte) (found uint64) {
	for len(status) > 0 {
		number, kind, n := protowire.ConsumeTag(status)
		if n < 0 {
			return found
		}
		status = status[n:]
		if number == 1 && kind == protowire.VarintType {
			found, _ = protowire.ConsumeVarint(status)
		}
		if n = protowire.ConsumeFieldValue(number, kind, status); n < 0 {
			return found
		}
		status = status[n:]
	}
	return found
}
