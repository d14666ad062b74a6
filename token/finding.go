package token

import "devicegate/reason"

// Finding is what a token was found to be. The zero Finding refuses.
type Finding struct {
	Reason reason.Reason
	// Cause tells apart what one reason covers, as the end of a sentence about the token; empty where the reason
	// says it all. It is for whoever runs the gate: a client learns the reason alone.
	Cause string
	// Signed says that the signature is the issuer's, so that the claims are what he says.
	Signed bool
}

var good = Finding{Reason: reason.OK}

func refuse(why reason.Reason, cause string) Finding { return Finding{Reason: why, Cause: cause} }
