package abuse_test

import "encoding/binary"

// callHead returns the headers of a call of gRPC, with more of them.
func callHead(more ...string) []byte {
	return block(append([]string{":method", "POST", ":scheme", "http", ":path", checkMethod, ":authority", "gate.example",
		"content-type", "application/grpc", "te", "trailers"}, more...)...)
}

// message puts the five bytes of gRPC before a message.
func message(body []byte) []byte {
	head := make([]byte, 5)
	binary.BigEndian.PutUint32(head[1:], uint32(len(body)))
	return append(head, body...)
}

// maxFrame is the longest frame that may be sent unasked.
const maxFrame = 16 << 10

// call sends a call of gRPC whose body is these bytes, whatever they are. The caller flushes.
func (c *h2) call(stream uint32, body []byte, more ...string) {
	c.frame(frameHeaders, flagEndHeaders, stream, callHead(more...))
	c.send(stream, body)
	c.frame(frameData, flagEndStream, stream, nil)
}

// send sends data, as much at a time as the gate takes.
func (c *h2) send(stream uint32, body []byte) {
	for len(body) > 0 {
		n := min(len(body), maxFrame)
		if _ = c.flushBefore(n); !c.room(stream, n) {
			return
		}
		c.frame(frameData, 0, stream, body[:n])
		body = body[n:]
	}
}

// flushBefore sends what is waiting where the gate must see it to take more.
func (c *h2) flushBefore(n int) error {
	if n < maxFrame {
		return nil
	}
	return c.flush()
}
