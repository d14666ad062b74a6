// Package api is the REST API for people and apps, and the one for administration on its socket.
// openapi.yaml says what it is; the types are generated from it and a test holds the routes against it.
//
// It fails closed: handlers return errors, one place turns them into answers, and an error that it does
// not know is 500 without a word of its text.
package api
