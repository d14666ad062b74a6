// Command go is a backend behind devicegate that answers nobody but those whom the gate let pass: it verifies the
// assertion of each request. It fails closed: without the gate's keys it answers nobody.
//
//	go run ./examples/verify/go -jwks http://127.0.0.1:9282/.well-known/jwks.json -issuer devicegate -host app.example
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// identity is who passed.
type identity struct {
	User   string   `json:"sub"` // the id, which stays when the name goes to somebody else
	Name   string   `json:"username"`
	Device string   `json:"device_uid"`
	Roles  []string `json:"roles"`
}

// verifier holds what this backend knows: the gate's keys and its tokens.issuer, and under which name it is asked
// itself. host is never read from a request.
type verifier struct {
	keys         jwk.Set
	issuer, host string
}

// verify returns who an assertion says that passed. Every error refuses.
func (v verifier) verify(assertion string) (who identity, err error) {
	var signed jws.Message
	claims, err := jws.Verify([]byte(assertion), jws.WithKeySet(v.keys), jws.WithCompact(), jws.WithMessage(&signed))
	if err != nil {
		return identity{}, err
	}
	header := signed.Signatures()[0].ProtectedHeaders()
	if alg := header.Algorithm(); header.Type() != "assertion+jwt" || alg != jwa.EdDSA && alg != jwa.ES256 {
		return identity{}, errors.New("the token is no assertion") // an access token, for one
	}
	if _, err := jwt.Parse(claims, jwt.WithVerify(false), jwt.WithIssuer(v.issuer), jwt.WithAudience(v.host),
		jwt.WithRequiredClaim("exp"), jwt.WithAcceptableSkew(5*time.Second)); err != nil {
		return identity{}, err
	}
	return who, json.Unmarshal(claims, &who)
}

// ServeHTTP answers with who asks.
func (v verifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, err := v.verify(r.Header.Get("Remote-Assertion"))
	if err != nil {
		log.Printf("refused: %.200q", err.Error()) // the client is told nothing; some of it is the client's own text
		http.Error(w, "this request did not come through the gate", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(who) // a client that is gone needs no answer
}

// fetch returns the gate's keys, which are fetched again every minute.
func fetch(ctx context.Context, url string) (jwk.Set, error) {
	cache := jwk.NewCache(ctx, jwk.WithRefreshWindow(15*time.Second))
	if err := cache.Register(url, jwk.WithRefreshInterval(time.Minute)); err != nil {
		return nil, err
	}
	if _, err := cache.Refresh(ctx, url); err != nil {
		return nil, err
	}
	return jwk.NewCachedSet(cache, url), nil
}

func main() {
	url := flag.String("jwks", "http://127.0.0.1:9282/.well-known/jwks.json", "URL of the gate's keys")
	issuer := flag.String("issuer", "devicegate", "tokens.issuer of the gate")
	host := flag.String("host", "", "the name that this backend serves")
	listen := flag.String("listen", "127.0.0.1:9000", "where to listen")
	flag.Parse()
	if *host == "" {
		log.Fatal("name the host that this backend serves, as browsers ask for it: -host app.example")
	}
	keys, err := fetch(context.Background(), *url)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stdout, "http://%s\n", listener.Addr())
	server := &http.Server{Handler: verifier{keys: keys, issuer: *issuer, host: *host}, ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.Serve(listener))
}
