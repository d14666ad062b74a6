package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/safetext"
)

// explain says what a check would be answered. Nothing of the body is logged or stored, and nothing of a token's text
// but what authz.Explain shows is in the answer.
func (s *server) explain(ctx context.Context, c echo.Context, _ admin) error {
	body, err := decode[ExplainRequest](c)
	if err != nil {
		return err
	}
	req, err := s.checkOf(&body)
	if err != nil {
		return err
	}
	e := s.Explain(req)
	if body.Peer == nil && e.Steps[0].Result == authz.Passed {
		e.Steps[0].Detail = "no proxy is named: taken as one that may ask"
	}
	if e.Steps[1].Result == authz.Passed {
		e.Steps[1].Detail = "taken for granted: " + e.Steps[1].Detail
	}
	s.tellDevice(ctx, &e)
	return c.JSON(http.StatusOK, explanationOf(&e, body.Peer == nil))
}

// checkOf returns the check that a body describes.
func (s *server) checkOf(body *ExplainRequest) (req authz.Request, err error) {
	req = authz.Request{Complete: true, Local: body.Peer == nil, Policy: deref(body.Policy), Method: deref(body.Method), Host: deref(body.Host)}
	if req.Adapter, err = adapterOf(body.Adapter); err != nil {
		return req, err
	}
	if req.Method == "" {
		req.Method = http.MethodGet
	}
	if body.Policy == nil {
		if req.Policy = authz.DefaultPolicy; req.Adapter == authz.EnvoyGRPC {
			req.Policy = s.PolicyOfGRPC
		}
	}
	switch {
	case body.Token != nil && body.Authorization != nil:
		return req, invalid("/authorization", "Say one of token and authorization.")
	case body.Token != nil:
		req.Authorization = []string{"Bearer " + *body.Token}
	case body.Authorization != nil:
		req.Authorization = *body.Authorization
	}
	if body.Origin != nil {
		req.Origin = []string{*body.Origin}
	}
	if body.PreflightMethod != nil {
		req.PreflightMethod = []string{*body.PreflightMethod}
	}
	if req.Peer, err = addressOf("/peer", body.Peer); err != nil {
		return req, err
	}
	return req, fromWhere(&req, body)
}

// fromWhere fills in where the client is, as the adapter is told.
func fromWhere(req *authz.Request, body *ExplainRequest) error {
	client, err := addressOf("/client_ip", body.ClientIp)
	if err != nil {
		return err
	}
	if body.ForwardedFor != nil {
		req.ForwardedFor = *body.ForwardedFor
	}
	switch {
	case req.Adapter == authz.EnvoyGRPC:
		req.Source = client
	case body.ClientIp != nil && body.ForwardedFor != nil:
		return invalid("/forwarded_for", "Over HTTP the proxy says where the client is in X-Forwarded-For alone: say one of client_ip and forwarded_for.")
	case body.ClientIp != nil:
		req.ForwardedFor = []string{client.String()}
	}
	return nil
}

func adapterOf(word *ExplainRequestAdapter) (authz.Adapter, error) {
	if word == nil {
		return authz.Traefik, nil
	}
	var words []string
	for _, a := range authz.Adapters() {
		if a.String() == string(*word) {
			return a, nil
		}
		words = append(words, a.String())
	}
	return 0, invalid("/adapter", "This must be one of "+strings.Join(words, ", ")+".")
}

// addressOf reads an address; none is the zero Addr.
func addressOf(pointer string, text *string) (netip.Addr, error) {
	if text == nil {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(*text)
	if err != nil || addr.Zone() != "" {
		return addr, invalid(pointer, "This must be an address such as 203.0.113.9.")
	}
	return addr.Unmap(), nil
}

// tellDevice adds what the store knows of a device: its name, and of one that has ended when and by whom. It is more
// than the decision needs, so what cannot be read is left out.
func (s *server) tellDevice(ctx context.Context, e *authz.Explanation) {
	at := slices.IndexFunc(e.Steps, func(step authz.Step) bool { return step.Name == "device" })
	step := &e.Steps[at]
	if e.Use.Device == uuid.Nil || step.Result == authz.NotReached {
		return
	}
	if rec, err := s.Login.Devices.Stored(ctx, e.Use.User, e.Use.Device); err == nil {
		step.Facts = append(step.Facts, authz.Fact{Name: "name", Found: safetext.Bound(rec.Name, 255)})
	}
	// A device of another issuer may be there again after it expired: then its end says nothing about this refusal.
	lives := slices.ContainsFunc(step.Facts, func(f authz.Fact) bool { return f.Name == "expires" })
	if step.Result != authz.Failed || lives {
		return
	}
	if end, found := s.endOf(ctx, e.Use.User, e.Use.Device); found {
		step.Detail = safetext.Bound("it ended at "+end.Time.UTC().Format(time.RFC3339)+": "+end.Reason+", by "+end.Actor, 255)
	}
}

// endsLookedAt bounds how many ends of devices of one user are read for the one.
const endsLookedAt = 200

// endOf returns the event of a device's end.
func (s *server) endOf(ctx context.Context, user, device uuid.UUID) (activity.Event, bool) {
	events, _, err := s.Activity.List(ctx, activity.Query{User: &user, Kind: activity.DeviceEnded}, uuid.UUID{}, endsLookedAt)
	if err != nil {
		return activity.Event{}, false
	}
	at := slices.IndexFunc(events, func(e activity.Event) bool { return e.Device == device })
	if at < 0 {
		return activity.Event{}, false
	}
	return events[at], true
}

func explanationOf(e *authz.Explanation, anyPeer bool) Explanation {
	d := &e.Decision
	out := Explanation{
		Outcome: ExplanationOutcome(d.Outcome().String()), Reason: d.Reason.String(),
		Adapter: e.Request.Adapter.String(), Policy: safetext.Bound(e.Request.Policy, 64), Status: e.Status,
		ClientIp: addrText(e.Client), User: d.User, DeviceUid: idText(d.Device),
		SetHeaders: []ExplainedHeader{}, RemoveHeaders: append([]string{}, d.Identity.Remove...), Effects: append([]string{}, e.Effects...),
	}
	if e.Judged() != d.Reason {
		out.Would = e.Judged().String()
	}
	for _, h := range d.Identity.Set {
		out.SetHeaders = append(out.SetHeaders, ExplainedHeader{Name: h.Name, Value: h.Value})
	}
	for _, s := range e.Steps {
		step := ExplainedStep{Step: ExplainedStepStep(s.Name), Result: ExplainedStepResult(s.Result.String()), Detail: s.Detail, Facts: []ExplainedFact{}}
		if s.Result == authz.Passed && (s.Name == "request" || s.Name == "peer" && anyPeer) {
			step.Result = Assumed // the call says nothing about it
		}
		for _, f := range s.Facts {
			step.Facts = append(step.Facts, ExplainedFact{Name: f.Name, Found: f.Found, Wanted: f.Wanted, Unproved: f.Unproved})
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}
