// Package abuse holds tests alone: they start the real program, attack it over loopback as whoever can reach its
// listeners could, and hold it to what must not change meanwhile.
//
// Beside every attack honest checks are asked over HTTP and gRPC, and each must be answered right: a good token
// passes, no token does not. The process lives, its anonymous memory stays under a bound at the highest sample,
// nothing that the attack sends is ever allowed, and there are as many metric series afterwards as before. What
// the service writes is searched for every secret that it was shown. The tests measure no times; that is for
// bench -abuse.
package abuse
