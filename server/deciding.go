package server

import (
	"context"
	"sync/atomic"

	"devicegate/authz"
)

// deciding decides each check by the configuration of its moment.
type deciding struct{ live *atomic.Pointer[live] }

// Decide implements what the adapters ask.
func (d deciding) Decide(ctx context.Context, req authz.Request) authz.Decision {
	return d.live.Load().authz.Decide(ctx, req)
}

// defaultPolicy returns the policy of a gRPC check that names none.
func (d deciding) defaultPolicy() string { return d.live.Load().config.Checks.GRPC.Policy }
