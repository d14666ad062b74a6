package server

import (
	"bytes"
	"errors"
	"strconv"
)

// What net/http reads and no proxy sends: a head with both lengths (RFC 9112, 6.3), which is how a request is hidden
// from whoever reads the other one, and a folded line (5.2), whose end is not where others see it. net/http takes the
// length away and joins the lines before anybody is asked, so the bytes are looked at as they come.
var (
	errBothLengths = errors.New("a request with Content-Length and Transfer-Encoding")
	errFolded      = errors.New("a request with a folded header")
	// Zeros or spaces before a length make it as long as a client likes, and whoever reads a part of it takes the next
	// request for a body.
	errLongLength = errors.New("a request with a Content-Length in a line of over 64 bytes")
)

// heads follows the heads on one plain connection of HTTP/1. The zero value is at the beginning of a connection.
type heads struct {
	line     [64]byte // the beginning of the line that is being read
	length   int      // of that line, what is not kept included
	sized    bool     // this head has a Content-Length
	declared int64    // what it says; negative: nothing that can be read
	chunked  bool     // this head has a Transfer-Encoding
	body     int64    // bytes of a body that are still to come
	// lost says that only net/http finds where the body ends. What comes behind it is not looked at, so it must not be
	// answered: the connection ends with the answer to this request.
	lost bool
}

// read follows what has been read, and says what may not be answered.
func (h *heads) read(p []byte) error {
	for len(p) > 0 && !h.lost {
		if h.body > 0 {
			n := min(int64(len(p)), h.body)
			h.body, p = h.body-n, p[n:]
			continue
		}
		if h.length == 0 && (p[0] == ' ' || p[0] == '\t') {
			return errFolded
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			h.keep(p)
			return nil
		}
		h.keep(p[:end])
		p = p[end+1:]
		if err := h.whole(); err != nil {
			return err
		}
	}
	return nil
}

func (h *heads) keep(p []byte) {
	if h.length < len(h.line) {
		copy(h.line[h.length:], p)
	}
	h.length += len(p)
}

// whole judges the line that has come to its end.
func (h *heads) whole() error {
	line, cut := bytes.TrimSuffix(h.line[:min(h.length, len(h.line))], []byte("\r")), h.length > len(h.line)
	h.length = 0
	if len(line) == 0 {
		h.end()
		return nil
	}
	switch name, value, _ := bytes.Cut(line, []byte(":")); len(name) {
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if cut {
				return errLongLength
			}
			h.sized, h.declared = true, number(value)
		}
	case len("Transfer-Encoding"):
		h.chunked = h.chunked || bytes.EqualFold(name, []byte("Transfer-Encoding"))
	}
	if h.chunked && h.sized {
		return errBothLengths
	}
	return nil
}

// end goes on behind a head.
func (h *heads) end() {
	lost := h.chunked || h.declared < 0 // the latter is refused by net/http
	*h = heads{body: max(h.declared, 0), lost: lost}
}

func number(value []byte) int64 {
	n, err := strconv.ParseInt(string(bytes.Trim(value, " \t")), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
