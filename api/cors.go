package api

import (
	"net/http"
	"slices"

	"github.com/rs/cors"
)

// preflightSeconds is how long a browser may remember what a preflight was answered.
const preflightSeconds = 600

// crossOrigin lets pages of these origins, and of no others, read what next answers (Fetch standard, "CORS protocol").
// Cookies count: the page of another origin of the same site may prove the device by it. A request of any other origin is
// answered as before and read by nobody.
func crossOrigin(origins []string, next http.Handler) http.Handler {
	if len(origins) == 0 {
		return next // and no answer depends on the origin
	}
	return cors.New(cors.Options{
		// Compared here, byte by byte: the library's own list knows patterns and no letter case.
		AllowOriginFunc:  func(origin string) bool { return slices.Contains(origins, origin) },
		AllowedMethods:   []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowedHeaders:   []string{"Authorization", "Content-Type"},
		ExposedHeaders:   []string{"Retry-After"},
		AllowCredentials: true,
		MaxAge:           preflightSeconds,
	}).Handler(next)
}
