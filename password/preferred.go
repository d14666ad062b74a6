package password

import "context"

type preferredKey struct{}

// Preferred returns a context whose calls of a Pool wait in a lane of their own: they get a free slot
// before all others, and the others cannot fill their queue. It is for the attempts that a known device
// vouches for, of which that device's own counter allows few; whoever marks what anybody can send in
// any number gives the lane away. It changes nothing else, neither the answer nor its cost, and
// other Hashers do not look at it.
func Preferred(ctx context.Context) context.Context {
	return context.WithValue(ctx, preferredKey{}, true)
}

func isPreferred(ctx context.Context) bool { return ctx.Value(preferredKey{}) != nil }
