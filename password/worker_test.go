package password_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"devicegate/password"
)

// foreign is what is no request. The length in front is the first four bytes.
func foreign() map[string][]byte {
	sized := func(n uint32, rest ...byte) []byte { return append(binary.BigEndian.AppendUint32(nil, n), rest...) }
	good := password.Request(1, cheap, right)
	return map[string][]byte{
		"half a length":       {0, 0},
		"length of nothing":   sized(0),
		"shorter than fixed":  sized(32, make([]byte, 32)...),
		"longer than any":     sized(33 + 4*256 + 1),
		"longest length":      sized(1<<32 - 1),
		"a length, no more":   good[:4],
		"cut":                 good[:len(good)-1],
		"text":                []byte("GET / HTTP/1.1\r\n\r\n"),
		"no memory":           password.Request(1, password.Params{Iterations: 1, Parallelism: 1}, right),
		"memory over 1 GiB":   password.Request(1, password.Params{Memory: 2 << 30, Iterations: 1, Parallelism: 1}, right),
		"no iterations":       password.Request(1, password.Params{Memory: 64 << 10, Parallelism: 1}, right),
		"endless iterations":  password.Request(1, password.Params{Memory: 64 << 10, Iterations: 1 << 30, Parallelism: 1}, right),
		"no parallelism":      password.Request(1, password.Params{Memory: 64 << 10, Iterations: 1}, right),
		"too much of it":      password.Request(1, password.Params{Memory: 1 << 20, Iterations: 1, Parallelism: 255}, right),
		"password over limit": password.Request(1, cheap, strings.Repeat("a", 4*256+1)),
	}
}

func TestServeWorkerRefusesWhatIsNoRequest(t *testing.T) {
	for name, in := range foreign() {
		var out bytes.Buffer
		err := password.ServeWorker(context.Background(), bytes.NewReader(in), &out)
		if err == nil || out.Len() != 0 {
			t.Errorf("%s: ServeWorker = %v and wrote %d bytes, want an error and nothing", name, err, out.Len())
		}
		if err != nil && strings.Contains(err.Error(), "horse") {
			t.Errorf("%s: the error %q repeats the password", name, err)
		}
	}
}

func TestServeWorkerEnds(t *testing.T) {
	if err := password.ServeWorker(context.Background(), strings.NewReader(""), io.Discard); err != nil {
		t.Errorf("at the end of its input: %v, want nil", err)
	}
	broken := errors.New("broken")
	if err := password.ServeWorker(context.Background(), iotest.ErrReader(broken), io.Discard); !errors.Is(err, broken) {
		t.Errorf("with broken input: %v, want its error", err)
	}
	open, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := password.ServeWorker(ctx, open, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v, want Canceled", err)
	}
	nobody, closed := io.Pipe()
	_ = nobody.CloseWithError(broken)
	request := bytes.NewReader(password.Request(1, cheap, right))
	if err := password.ServeWorker(context.Background(), io.MultiReader(request, open), closed); !errors.Is(err, broken) {
		t.Errorf("with nobody to answer: %v, want the writer's error", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add(password.Request(1, cheap, right)[4:])
	for _, in := range foreign() {
		f.Add(in[min(4, len(in)):])
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text, err := password.ParseRequest(in)
		if err == nil && len(text) != len(in)-33 {
			t.Errorf("ParseRequest(%d bytes) has a password of %d", len(in), len(text))
		}
	})
}
