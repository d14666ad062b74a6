package api

import (
	_ "embed" // openapi.yaml
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/labstack/echo/v4"
)

//go:embed openapi.yaml
var openapiYAML []byte

// openapiJSON converts the page once.
var openapiJSON = sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(openapiYAML) })

func (s *server) openapi(c echo.Context) error {
	page, err := openapiJSON()
	if err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "application/json", page)
}

// jwks may be cached for a short while: a new key is published an hour before it is used.
func (s *server) jwks(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", s.Keys.JWKS())
}
