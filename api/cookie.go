package api

import "net/http"

// deviceCookieName: the prefix __Host- makes browsers take the cookie only with Secure, with this path and
// without a domain, so that no other host of the domain can set it.
const deviceCookieName = "__Host-devicegate-device"

// deviceCookieAge is a year, in seconds.
const deviceCookieAge = 365 * 24 * 60 * 60

// deviceCookie returns the device cookie of a request. Two of them prove nothing: one may have been
// planted.
func deviceCookie(r *http.Request) string {
	cookies := r.CookiesNamed(deviceCookieName)
	if len(cookies) != 1 {
		return ""
	}
	return cookies[0].Value
}

func setDeviceCookie(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: deviceCookieName, Value: value, Path: "/", MaxAge: deviceCookieAge,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
}
