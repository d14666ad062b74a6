// Package journal writes down what was decided: the log line and the metrics of every check, sign-in and
// end of a device, in one place, so that every adapter says the same.
//
// It never writes a credential, bounds every text that a client chose, and keeps the number of metric
// series constant: labels come from closed lists only.
package journal
