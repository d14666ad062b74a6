package authz

// Audience is audience.
var Audience = audience
