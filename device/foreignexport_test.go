package device

// MaxArrivals is how many registrations wait to be stored at most.
const MaxArrivals = maxArrivals
