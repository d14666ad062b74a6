package password

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The two messages between the pool and its worker, numbers big-endian:
//
//	request: length uint32 (of the rest), id uint64, memory uint32 (KiB), iterations uint32,
//	         parallelism uint8, salt [16], password (the rest)
//	answer:  id uint64, key [32]
//
// The worker only computes keys. Reading stored hashes and comparing stay with the pool, so that
// nothing the worker says can be taken for "match".
const (
	lengthSize     = 4
	requestFixed   = 8 + 4 + 4 + 1 + saltSize
	maxRequestSize = requestFixed + MaxLength*4
	answerSize     = 8 + keySize
)

// appendRequest returns the request as bytes, length first. The caller clears them after use.
func appendRequest(id uint64, j job) []byte {
	size := requestFixed + len(j.password)
	b := make([]byte, 0, lengthSize+size)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = binary.BigEndian.AppendUint64(b, id)
	b = binary.BigEndian.AppendUint32(b, j.params.kib())
	b = binary.BigEndian.AppendUint32(b, uint32(j.params.Iterations))
	b = append(b, uint8(j.params.Parallelism))
	b = append(b, j.salt[:]...)
	return append(b, j.password...)
}

// readRequest reads one request without its length; io.EOF means that there is none. The caller
// clears the bytes after use; parseRequest refuses too few.
func readRequest(r io.Reader) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size > maxRequestSize {
		return nil, fmt.Errorf("a request of %d bytes", size)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(r, b); err != nil {
		// Half a request is no orderly end, which io.EOF in the chain would say.
		return nil, fmt.Errorf("%w: %v", io.ErrUnexpectedEOF, err) //nolint:errorlint // see above
	}
	return b, nil
}

// request is one request as the worker sees it; text is a part of the bytes it was parsed from.
type request struct {
	id     uint64
	params Params
	salt   [saltSize]byte
	text   []byte
}

// parseRequest reads what readRequest returned. Params that argon2 would panic on are an error.
func parseRequest(b []byte) (request, error) {
	if len(b) < requestFixed {
		return request{}, io.ErrUnexpectedEOF
	}
	r := request{
		id: binary.BigEndian.Uint64(b),
		params: Params{
			Memory:      int64(binary.BigEndian.Uint32(b[8:])) * kib,
			Iterations:  int(binary.BigEndian.Uint32(b[12:])),
			Parallelism: int(b[16]),
		},
		salt: [saltSize]byte(b[17:requestFixed]),
		text: b[requestFixed:],
	}
	return r, r.params.check()
}

func appendAnswer(id uint64, key [keySize]byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, answerSize), id), key[:]...)
}

func readAnswer(r io.Reader) (id uint64, key [keySize]byte, err error) {
	var b [answerSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, key, err
	}
	return binary.BigEndian.Uint64(b[:]), [keySize]byte(b[8:]), nil
}
