package probe

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// exchangeHTTP2 sends a request as the first stream of a connection, in frames of its own: a library would refuse
// or sort what is to be sent. A stream or connection that the proxy ends is an answer of status 0.
func exchangeHTTP2(conn io.ReadWriter, q request) (response, error) {
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	frames := http2.NewFramer(&out, conn)
	frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	frames.MaxHeaderListSize = maxResponse
	writeRequest(frames, q)
	go func() { _, _ = conn.Write(out.Bytes()) }()
	return readStream(frames)
}

// writeRequest writes the frames of a request. To a buffer that cannot fail.
func writeRequest(frames *http2.Framer, q request) {
	_ = frames.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range q.fields() {
		_ = encoder.WriteField(f)
	}
	_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: q.body == "", EndHeaders: true})
	if q.body != "" {
		_ = frames.WriteData(1, true, []byte(q.body))
	}
}

// fields are the head of the request, names in lower case (RFC 9113, section 8.2).
func (q request) fields() []hpack.HeaderField {
	all := []hpack.HeaderField{
		{Name: ":method", Value: q.method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: q.host}, {Name: ":path", Value: q.target},
	}
	for _, line := range q.lines {
		name, value, _ := strings.Cut(line, ":")
		all = append(all, hpack.HeaderField{Name: strings.ToLower(name), Value: strings.TrimSpace(value)})
	}
	return all
}

var errReset = errors.New("the proxy ended the stream")

// readStream reads the head of the answer on stream 1. The body is nobody's business.
func readStream(frames *http2.Framer) (response, error) {
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return response{timedOut: isTimeout(err)}, err
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			status, _ := strconv.Atoi(f.PseudoValue("status"))
			if status < 200 {
				continue
			}
			got := response{status: status, header: http.Header{}}
			for _, field := range f.RegularFields() {
				got.header.Add(field.Name, field.Value)
			}
			return got, nil
		case *http2.RSTStreamFrame:
			return response{}, errReset
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return response{}, errReset
			}
		}
	}
}
