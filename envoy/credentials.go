package envoy

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
)

// Credentials returns inner for a server of checks, which remembers the connection of each call: that is how
// a client that takes no answers is hung up on.
func Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return remembering{inner}
}

type remembering struct {
	credentials.TransportCredentials
}

// ServerHandshake is that of the inner ones.
func (r remembering) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := r.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	// What is closed is the connection below: TLS says goodbye first, and waits for seconds on a client that takes nothing.
	return conn, connInfo{info, &connection{Closer: raw}}, nil
}

// Clone returns a copy.
func (r remembering) Clone() credentials.TransportCredentials {
	return remembering{r.TransportCredentials.Clone()}
}

// connInfo is what is known of a connection, and the connection.
type connInfo struct {
	credentials.AuthInfo
	conn *connection
}

// connOf returns the connection of a call; one without a Closer where it was not remembered.
func connOf(ctx context.Context) *connection {
	if p, ok := peer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(connInfo); ok {
			return info.conn
		}
	}
	return &connection{}
}
