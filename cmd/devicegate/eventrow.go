package main

import (
	"context"
	"net/http"
	"strings"

	"devicegate/api"
)

// eventRow shows an event in a table. name is that of the account, where it has one.
func eventRow(e api.Event, name string) []cell {
	who := e.NameTried
	if who == "" {
		who = name
	}
	row := plainCells(when(e.Time), what(e), e.Reason, short(who), shortUID(e.DeviceUid),
		short(from(e.Ip, place(e.City, e.Region, e.Country))), actor(e.Actor), news(e))
	row[1].bad = e.Outcome == api.EventOutcomeFailure
	return row
}

// what says kind and outcome in words.
func what(e api.Event) string {
	failed := e.Outcome == api.EventOutcomeFailure
	switch {
	case e.Kind == api.EventKindSignIn && failed:
		return "sign-in failed"
	case e.Kind == api.EventKindSignIn:
		return "signed in"
	case e.Kind == api.EventKindDeviceEnded && e.DeviceUid == "":
		return "all devices ended"
	case e.Kind == api.EventKindDeviceEnded:
		return "device ended"
	case e.Kind == api.EventKindPasswordChanged:
		return "password changed"
	case e.Kind == api.EventKindAdmin:
		return "admin"
	case failed:
		return string(e.Kind) + " failed"
	}
	return string(e.Kind)
}

// shortUID is enough of a device_uid to tell the devices of a user apart.
func shortUID(uid string) string { return uid[:min(8, len(uid))] }

func actor(text string) string {
	if uid, ok := strings.CutPrefix(text, "device:"); ok {
		return "device:" + shortUID(uid)
	}
	return short(text)
}

// news marks a place where the user was never before.
func news(e api.Event) string {
	switch {
	case e.NewCountry && e.NewNetwork:
		return "country, network"
	case e.NewCountry:
		return "country"
	case e.NewNetwork:
		return "network"
	}
	return ""
}

// userNames finds the names to ids, each once.
type userNames struct {
	admin *admin
	known map[string]string
}

// of returns the name of the account, or the id where it is removed or cannot be asked for.
func (n *userNames) of(ctx context.Context, id string) string {
	if id == "" {
		return ""
	}
	name, known := n.known[id]
	if !known {
		var u api.User
		if err := n.admin.call(ctx, http.MethodGet, "/admin/users/"+id, nil, &u); err != nil {
			u.Name = id
		}
		name, n.known[id] = u.Name, u.Name
	}
	return name
}
