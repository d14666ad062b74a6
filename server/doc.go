// Package server puts one running gate together: the store, the index, the services and their
// listeners, in the order in which they start and stop.
//
// It fails closed: before the index is filled, and after the store can no longer be trusted, checks are
// refused as unavailable; a listener that cannot be had, or ends, ends the service.
package server
