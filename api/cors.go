package api

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// preflightSeconds is how long a browser may remember what a preflight was answered.
const preflightSeconds = 600

// crossOrigin lets pages of these origins, and of no others, read what the API answers (Fetch standard, "CORS protocol").
// Cookies count: the page of another origin of the same site may prove the device by it. A request of any other origin is
// answered as before and read by nobody, and its preflight is answered like every OPTIONS.
func crossOrigin(origins []string) echo.MiddlewareFunc {
	allowed := func(origin string) (bool, error) { return slices.Contains(origins, origin), nil }
	return middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper: func(c echo.Context) bool {
			h := c.Request().Header
			known, _ := allowed(h.Get(echo.HeaderOrigin))
			return c.Request().Method == http.MethodOptions && (!known || h.Get(echo.HeaderAccessControlRequestMethod) == "")
		},
		AllowOriginFunc:  allowed,
		AllowMethods:     []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowHeaders:     []string{echo.HeaderAuthorization, echo.HeaderContentType},
		ExposeHeaders:    []string{echo.HeaderRetryAfter},
		AllowCredentials: true,
		MaxAge:           preflightSeconds,
	})
}
