// Package priority lets a process give up its priority for good, so that it takes only what others leave over.
//
// It fails open: where the system has no means, Lower says so and the process stays as strong as it was.
package priority
