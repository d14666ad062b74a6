package envoy

import (
	"net/netip"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"devicegate/authz"
	"devicegate/problem"
	"devicegate/reason"
)

// policyExtension is the member of context_extensions that names the policy. No client can touch it.
const policyExtension = "policy"

// toRequest translates a check. Whatever is missing leaves the request incomplete, which refuses it: the
// network filter and TCP policies of a mesh ask without any HTTP request at all, and an empty answer
// would let them pass.
func toRequest(check *authv3.CheckRequest, defaultPolicy string) authz.Request {
	attributes := check.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	req := authz.Request{
		Adapter: authz.EnvoyGRPC,
		Policy:  defaultPolicy,
		Source:  sourceAddress(attributes.GetSource()),
		Method:  http.GetMethod(), Host: http.GetHost(), Path: http.GetPath(),
		RequestID: http.GetId(),
	}
	if named, ok := attributes.GetContextExtensions()[policyExtension]; ok {
		req.Policy = named
	}
	bothForms := len(http.GetHeaders()) > 0 && len(http.GetHeaderMap().GetHeaders()) > 0
	req.Complete = http != nil && !bothForms && req.Method != "" && req.Host != "" && req.Path != ""
	forEachHeader(http, func(name, value string) {
		switch {
		case strings.EqualFold(name, "authorization"):
			req.Authorization = append(req.Authorization, value)
		case strings.EqualFold(name, "x-forwarded-for"):
			req.ForwardedFor = append(req.ForwardedFor, value)
		case strings.EqualFold(name, "origin"):
			req.Origin = append(req.Origin, value)
		case strings.EqualFold(name, "access-control-request-method"):
			req.PreflightMethod = append(req.PreflightMethod, value)
		case strings.EqualFold(name, "x-request-id"):
			req.RequestID = value
		}
	})
	return req
}

// forEachHeader calls fn for every header in either form: the map of joined values, or with
// encode_raw_headers the list, whose raw_value comes before its value.
func forEachHeader(http *authv3.AttributeContext_HttpRequest, fn func(name, value string)) {
	for name, value := range http.GetHeaders() {
		fn(name, value)
	}
	for _, h := range http.GetHeaderMap().GetHeaders() {
		if raw := h.GetRawValue(); len(raw) > 0 {
			fn(h.GetKey(), string(raw))
		} else {
			fn(h.GetKey(), h.GetValue())
		}
	}
}

// sourceAddress returns the address of Envoy's own peer; the zero Addr where it has none.
func sourceAddress(source *authv3.AttributeContext_Peer) netip.Addr {
	addr, err := netip.ParseAddr(source.GetAddress().GetSocketAddress().GetAddress())
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// toResponse writes a decision in Envoy's terms.
func toResponse(d authz.Decision) *authv3.CheckResponse {
	httpStatus := authz.EnvoyGRPC.Status(d.Outcome())
	if d.Outcome() == reason.Allow && httpStatus == 200 {
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.OK)},
			HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
				Headers: headerOptions(d.Identity.Set), HeadersToRemove: d.Identity.Remove,
			}},
		}
	}
	return &authv3.CheckResponse{
		Status: &status.Status{Code: int32(code(d.Outcome())), Message: d.Reason.String()},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(httpStatus)},
			Headers: headerOptions(refusalHeaders(d)),
			Body:    string(problem.OfReason(httpStatus, d.Reason).JSON()),
		}},
	}
}

// code returns the status code of a refusal; never OK.
func code(o reason.Outcome) codes.Code {
	switch o {
	case reason.Unauthenticated:
		return codes.Unauthenticated
	case reason.Unavailable:
		return codes.Unavailable
	default:
		return codes.PermissionDenied
	}
}

func refusalHeaders(d authz.Decision) []authz.Header {
	headers := []authz.Header{
		{Name: "content-type", Value: problem.ContentType},
		{Name: "cache-control", Value: "no-store"},
		{Name: "x-auth-reason", Value: d.Reason.String()},
	}
	if c := d.Challenge(); c != "" {
		headers = append(headers, authz.Header{Name: "www-authenticate", Value: c})
	}
	if d.Outcome() == reason.Unavailable {
		headers = append(headers, authz.Header{Name: "retry-after", Value: "1"})
	}
	return headers
}

// headerOptions overwrites whatever the client sent. The old bool append is never set: it is the only one
// that Envoy 1.40 reads, and later builds read append_action.
func headerOptions(headers []authz.Header) []*corev3.HeaderValueOption {
	// One allocation for all of a kind: these are most of what an answer costs.
	values := make([]corev3.HeaderValue, len(headers))
	all := make([]corev3.HeaderValueOption, len(headers))
	options := make([]*corev3.HeaderValueOption, len(headers))
	for i, h := range headers {
		values[i].Key, values[i].Value = h.Name, h.Value
		all[i].Header = &values[i]
		all[i].AppendAction = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
		options[i] = &all[i]
	}
	return options
}
