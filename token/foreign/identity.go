package foreign

import (
	"slices"
	"strings"

	"devicegate/identity"
	"devicegate/reason"
	"devicegate/token"
)

// Bounds of what an identity may measure in headers, the same as for local users: nothing is cut later.
const (
	maxRoles          = 32
	maxIdentityHeader = 1000
	adminRole         = "admin"
)

// Names is what the rules for local users say about a name.
type Names struct {
	Check  func(name string) error            // what is wrong with it; nil when nothing is
	Fold   func(name string) string           // its normalised form, in which two spellings of one name are equal
	Key    func(name string) identity.NameKey // the key of that form
	Header func(name string) string           // how it is written into a header
}

// names are Names and the prefixes that belong to the issuers.
type names struct {
	Names
	issuers []string
}

// identity reads under which name and with which roles the user passes.
func (i *issuer) identity(c claims, v *token.Verified) token.Finding {
	f := v.Foreign
	roles, ok := i.roles(c)
	if !ok {
		return malformed("the claim of the roles (claims.roles) is no list of text, or gives more than 32 roles")
	}
	if i.names.Check(f.Owner) != nil {
		return malformed("the claim of the user (claims.user_id) gives no usable name")
	}
	f.Name, f.Roles = f.Owner, roles
	if i.Claims.Username != "" {
		name, _, ok := textOf(c.at(i.Claims.Username))
		if !ok || name != "" && i.names.Check(name) != nil {
			return malformed("the claim of the name (claims.username) is no usable name")
		}
		if name != "" {
			f.Name = name
		}
	}
	if len(i.names.Header(f.Name))+len(strings.Join(roles, ",")) > maxIdentityHeader {
		return malformed("name and roles together take over 1,000 bytes in headers")
	}
	if f.Name != f.Owner && i.names.belongs(f.Name) {
		return refuse(reason.TokenUnverified, "its name looks like that of a user of an issuer (issuer:id)")
	}
	f.Keys = [2]identity.NameKey{i.names.Key(f.Name), i.names.Key(f.Owner)}
	return good
}

// belongs reports whether a backend could take name for that of a user of an issuer who has no username:
// whoever may choose his username there must not become somebody of the other.
func (n names) belongs(name string) bool {
	folded := n.Fold(name)
	return slices.ContainsFunc(n.issuers, func(issuer string) bool {
		return strings.HasPrefix(folded, issuer+":") || strings.HasPrefix(folded, issuer+" :")
	})
}

// roles returns ours for theirs: what the map does not name is dropped, "admin" is never one.
func (i *issuer) roles(c claims) ([]string, bool) {
	if i.Claims.Roles == "" {
		return nil, true
	}
	value := c.at(i.Claims.Roles)
	theirs, ok := textsOf(value)
	if !ok {
		return nil, false
	}
	if value != nil && value.Kind() == '"' {
		theirs = strings.Fields(theirs[0]) // as OAuth writes scopes
	}
	var ours []string
	for _, role := range theirs {
		if our := i.Roles[role]; our != "" && our != adminRole && !slices.Contains(ours, our) {
			ours = append(ours, our)
		}
	}
	return ours, len(ours) <= maxRoles
}
