package envoy_test

import (
	"testing"

	"devicegate/authz"
	"devicegate/authz/authztest"
)

// table is the adapter as the shared table sees it, with the client's headers in one form.
func (f form) table() authztest.Adapter {
	return authztest.Adapter{
		Name: authz.EnvoyGRPC, Removes: true,
		Start: func(t *testing.T, gate *authztest.Gate) authztest.Ask {
			conn := serve(t, gate, nil)
			return func(t *testing.T, q authztest.Question) authztest.Answer {
				return read(t, mustCheck(t, conn, f.request(q)))
			}
		},
	}
}

func TestBehaviour(t *testing.T) {
	w := authztest.NewWorld(t)
	for name, f := range map[string]form{"headers": asMap, "header_map raw_value": asRaw, "header_map value": asValue} {
		t.Run(name, func(t *testing.T) { authztest.Behaviour(t, w, f.table()) })
	}
}

func TestWords(t *testing.T) { authztest.Words(t, authztest.NewWorld(t), asMap.table()) }
