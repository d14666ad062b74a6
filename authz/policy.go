package authz

import (
	"net/netip"
	"slices"
	"time"

	"devicegate/clientaddr"
	"devicegate/device"
	"devicegate/reason"
)

// Policy is what one route demands beyond a live device of an enabled user, and what it lets pass without. The
// zero Policy demands that much and lets nothing pass without.
type Policy struct {
	RequireRoles    []string // one of them; none demanded when empty
	RequireAllRoles []string // each of them

	MinDeviceAge time.Duration // since the device was made; 0 = none
	MaxDeviceAge time.Duration // 0 = no limit

	AllowedNetworks []netip.Prefix // of the client; all when empty
	RequireCountry  []string       // one of these; a place that is not known is none. All when empty
	DenyCountry     []string

	Anonymous           bool // a request without a token passes, without an identity
	CORSPreflight       bool // so does a CORS preflight
	RemoveAuthorization bool // the backend does not get the token
	Report              bool // everything passes, without an identity; what would have been decided is told
}

// demandOf decides about who asks, in the order of the contract's reasons.
func (p *Policy) demandOf(s device.Subject, now time.Time) reason.Reason {
	if len(p.RequireRoles) > 0 && !slices.ContainsFunc(p.RequireRoles, s.Has) || !all(p.RequireAllRoles, s.Has) {
		return reason.RoleMissing
	}
	age := now.Sub(s.Since)
	if p.MinDeviceAge > 0 && age < p.MinDeviceAge { // a clock that was set back refuses nobody without it
		return reason.DeviceTooNew
	}
	if p.MaxDeviceAge > 0 && age > p.MaxDeviceAge {
		return reason.DeviceTooOld
	}
	return reason.OK
}

func all(roles []string, has func(string) bool) bool {
	return !slices.ContainsFunc(roles, func(role string) bool { return !has(role) })
}

// place decides about where a request comes from. An address that is not known is in no network and no country.
func (a *Authorizer) place(p *Policy, client netip.Addr) reason.Reason {
	if len(p.AllowedNetworks) > 0 && !clientaddr.Trusted(p.AllowedNetworks).Contains(client) {
		return reason.NetworkNotAllowed
	}
	if len(p.RequireCountry) == 0 && len(p.DenyCountry) == 0 {
		return reason.OK
	}
	country := ""
	if a.config.Country != nil && client.IsValid() {
		country = a.config.Country(client)
	}
	if len(p.RequireCountry) > 0 && !slices.Contains(p.RequireCountry, country) || slices.Contains(p.DenyCountry, country) {
		return reason.CountryNotAllowed
	}
	return reason.OK
}

// strip adds what the policy takes away from the request.
func (p *Policy) strip(id Identity) Identity {
	if p.RemoveAuthorization {
		id.Remove = append(id.Remove, "Authorization")
	}
	return id
}

// preflight reports whether the request is a CORS preflight (Fetch standard, "CORS-preflight fetch"): without the two
// headers a request with the method OPTIONS is one that a backend may act on.
func (r *Request) preflight() bool {
	return r.Method == "OPTIONS" && len(r.Origin) == 1 && r.Origin[0] != "" && len(r.PreflightMethod) == 1 && r.PreflightMethod[0] != ""
}
