package config

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// checkTogether applies the rules across keys. Each is skipped where one of its keys has a fault of
// its own.
func (l *loader) checkTogether() {
	l.checkLifetimes()
	l.checkKeyRotation()
	l.checkDeviceLimits()
	l.checkGRPCPolicy()
	l.checkTLS()
	l.checkPeers()
	l.checkCountries()
	l.checkHeadersDistinct()
	l.checkAssertion()
	l.checkAdminSocket()
	l.checkListenersDistinct()
	l.checkActivityLimits()
	l.checkLockout()
	l.checkIssuersWithin()
}

// conflict notes a fault between keys, at the one among them that was set last. The message names
// the keys.
func (l *loader) conflict(message string, paths ...string) {
	var last origin
	for _, p := range paths {
		if !l.sound(p) {
			return
		}
		if o := l.origin[p]; o.order > last.order {
			last = o
		}
	}
	l.faults = append(l.faults, last.place.says(message))
}

func (l *loader) checkLifetimes() {
	t := l.config.Tokens
	if t.RefreshLifetime < t.AccessLifetime {
		l.conflict(fmt.Sprintf("tokens.refresh_lifetime is %s, under tokens.access_lifetime, which is %s; a refresh token has to live at least as long",
			showDuration(t.RefreshLifetime), showDuration(t.AccessLifetime)),
			"tokens.refresh_lifetime", "tokens.access_lifetime")
	}
}

// checkKeyRotation keeps the schedule slower than the life of a key before and after it signs, so
// that the keys that verify do not pile up.
func (l *loader) checkKeyRotation() {
	t := l.config.Tokens
	if least := t.AccessLifetime + 2*time.Hour; t.KeyRotation != 0 && t.KeyRotation < least {
		l.conflict(fmt.Sprintf("tokens.key_rotation is %s, under %s, which is tokens.access_lifetime and 2h; a key is published an hour before it signs, and verifies until its last token is dead",
			showDuration(t.KeyRotation), showDuration(least)),
			"tokens.key_rotation", "tokens.access_lifetime")
	}
}

func (l *loader) checkDeviceLimits() {
	d := l.config.Devices
	over := func(path string, n int) {
		if n > d.HardLimit {
			l.conflict(fmt.Sprintf("%s is %d, over devices.hard_limit, which is %d; lower the one or raise the other", path, n, d.HardLimit),
				path, "devices.hard_limit")
		}
	}
	over("devices.max_devices", d.MaxDevices)
	for _, role := range sortedKeys(d.MaxDevicesByRole) {
		over("devices.max_devices_by_role."+role, d.MaxDevicesByRole[role])
	}
}

func (l *loader) checkGRPCPolicy() {
	name := l.config.Checks.GRPC.Policy
	if _, ok := l.config.Policies[name]; ok || !l.sound("policies."+name) {
		return
	}
	l.conflict(fmt.Sprintf("checks.grpc.policy is %s, but the policies are %s", quote(name),
		strings.Join(sortedKeys(l.config.Policies), ", ")), "checks.grpc.policy")
}

func (l *loader) checkHeadersDistinct() {
	h := l.config.IdentityHeaders
	paths := []string{"identity_headers.user", "identity_headers.roles", "identity_headers.device", "identity_headers.assertion"}
	names := []string{h.User, h.Roles, h.Device, h.Assertion}
	for i := range names {
		for j := range i {
			if names[i] != "" && strings.EqualFold(names[i], names[j]) {
				l.conflict(fmt.Sprintf("%s is the header of %s and of %s; each needs its own", names[i], paths[j], paths[i]),
					paths[j], paths[i])
			}
		}
	}
}

// checkAdminSocket checks the socket's path where it comes from store.path, and that it does not
// fall on the store.
func (l *loader) checkAdminSocket() {
	c := l.config
	if c.Admin.Socket == "" {
		if err := checkSocket(c.AdminSocket()); err != nil {
			l.conflict("admin.socket follows store.path: "+err.Error()+"; set it", "store.path", "admin.socket")
		}
	}
	if filepath.Clean(c.AdminSocket()) == filepath.Clean(c.Store.Path) {
		l.conflict("admin.socket and store.path are the same file; choose another for one", "store.path", "admin.socket")
	}
}

func (l *loader) checkListenersDistinct() {
	c := l.config
	paths := []string{"checks.http.address", "checks.grpc.address", "api.address", "operations.address", "admin.address", "admin.socket"}
	addresses := []Address{c.Checks.HTTP.Address, c.Checks.GRPC.Address, c.API.Address, c.Operations.Address, c.Admin.Address, {"unix", c.AdminSocket()}}
	for i := range addresses {
		for j := range i {
			if addresses[i].clashes(addresses[j]) {
				l.conflict(fmt.Sprintf("%s (%s) and %s (%s) cannot both be listened on; choose another for one",
					paths[j], addresses[j], paths[i], addresses[i]), paths[j], paths[i])
			}
		}
		if addresses[i].clashes(Address{"unix", c.Store.Path}) && paths[i] != "admin.socket" {
			l.conflict(fmt.Sprintf("%s and store.path are the same file; choose another for one", paths[i]), paths[i], "store.path")
		}
	}
}

func (l *loader) checkActivityLimits() {
	a := l.config.Activity
	if a.MaxTotal < a.MaxPerUser {
		l.conflict(fmt.Sprintf("activity.max_total is %d, under activity.max_per_user, which is %d; raise the one or lower the other",
			a.MaxTotal, a.MaxPerUser), "activity.max_total", "activity.max_per_user")
	}
}

// checkLockout holds the numbers of the lockout to each other.
func (l *loader) checkLockout() {
	o := l.config.Lockout
	// Failures from one network are among those from everywhere.
	if o.NameThreshold < o.Threshold {
		l.conflict(fmt.Sprintf("lockout.name_threshold is %d, under lockout.threshold, which is %d; a name would be locked for everybody before the one who guesses is",
			o.NameThreshold, o.Threshold), "lockout.name_threshold", "lockout.threshold")
	}
	if o.MaxDelay < o.BaseDelay {
		l.conflict(fmt.Sprintf("lockout.max_delay is %s, under lockout.base_delay, which is %s; raise the one or lower the other",
			showDuration(o.MaxDelay), showDuration(o.BaseDelay)), "lockout.max_delay", "lockout.base_delay")
	}
	if o.Window < o.MaxDelay {
		l.conflict(fmt.Sprintf("lockout.window is %s, under lockout.max_delay, which is %s; failures would be forgotten while they still make somebody wait",
			showDuration(o.Window), showDuration(o.MaxDelay)), "lockout.window", "lockout.max_delay")
	}
}

// warnPlainLookup tells of a lookup service that is asked in the clear. The URL is not repeated: it
// may hold a key.
func (l *loader) warnPlainLookup() {
	if u, err := url.Parse(l.config.Geo.HTTPURL); err == nil && u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
			"geo.http_url asks %s over plain http, so that whoever is on the way reads the addresses of those who sign in, and can answer with any place; use https",
			u.Hostname()))
	}
}

func (l *loader) warnShortPasswords() {
	if n := l.config.Passwords.MinLength; n < recommendedPassword {
		l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
			"passwords.min_length is %d; where the password is the only factor, NIST SP 800-63B-4 asks for %d, because shorter ones are guessed from a stolen hash",
			n, recommendedPassword))
	}
}
