// Package login keeps the users and signs them in: names, passwords, access and refresh tokens.
//
// It fails closed: every error refuses, and a wrong password, an unknown name and a disabled user are
// one and the same answer after the same work. Who guesses has to wait (package lockout), and everything
// that happens to an account is recorded in the transaction that does it (package activity).
//
// # Records
//
//	n/<SHA-256 of the normalised name, hex>  the user's id in its dashed form
//	u/<user>                                 JSON: the account
//	r/<user>                                 JSON: the hash of the user's password reset token
//	p/<user>                                 JSON: networks and countries that the user signed in from
//	m/admin/<user>                           the name of an enabled admin
//	m/refresh_key                            32 random bytes that refresh tokens and device cookies are made with
//
// Beside each account its row w/u/<16 bytes> (package device) is written in the same transaction.
package login
