package device

import (
	"fmt"
	"strings"
	"time"
)

// Act is what a device wants to do to devices of its user.
type Act uint8

// The acts that the rules decide about. Logging oneself out is no act: nothing can forbid it.
const (
	_ Act = iota
	Delete
	Update
	EndAll         // the target is each other device in turn
	ChangePassword // no target: it ends every other device
)

// Rules are what the operator decides about devices acting on each other.
type Rules struct {
	AllowDelete    bool          // Delete and EndAll
	AllowUpdate    bool          // Update
	DeleteDelay    time.Duration // a target younger than this cannot be ended by another
	UpdateDelay    time.Duration // nor changed
	SeniorityDelay time.Duration // a device younger than this cannot act on an older one
}

// Change is what an Update asks for. A nil member is left as it is.
type Change struct {
	Name            *string
	CanUpdateOthers *bool
	CanDeleteOthers *bool
}

func (c Change) touchesRights() bool { return c.CanUpdateOthers != nil || c.CanDeleteOthers != nil }

// RuleError is why an act is forbidden. Detail is a sentence for people.
type RuleError struct {
	Code       string
	Detail     string
	RetryAfter time.Duration // when waiting helps: for how long; else 0
}

func (e *RuleError) Error() string { return e.Code }

// The codes and sentences that clients of django-trusted-devices know. device_too_new is our own.
var (
	ruleSelf           = &RuleError{Code: "device_self_modification", Detail: "You cannot modify or delete your current device this way. Use the logout endpoint to revoke your own session."}
	ruleDeleteOff      = &RuleError{Code: "device_deletion_disabled", Detail: "Device deletion is globally disabled by the system administrator."}
	ruleUpdateOff      = &RuleError{Code: "device_editing_disabled", Detail: "Device editing is globally disabled by the system administrator."}
	ruleNoDeleteRight  = &RuleError{Code: "device_lacks_delete_permission", Detail: "Your current device does not have permission to delete other sessions. Please use a device with elevated privileges."}
	ruleNoUpdateRight  = &RuleError{Code: "device_lacks_edit_permission", Detail: "Your current device does not have permission to modify other sessions. Use a device with the required privileges."}
	ruleEscalation     = &RuleError{Code: "device_permission_escalation", Detail: "You cannot grant permissions that your current device does not have."}
	errNothingToDecide = &RuleError{Code: "forbidden", Detail: "This cannot be done."}
)

// May decides whether actor may do act to target at now; nil means that it may. It is the one place for
// every way in which a device ends or changes another, and goes through one order: oneself, the switch,
// the actor's right, seniority, the target's delay, escalation. For EndAll without a target (nil) only
// what does not depend on one is decided; for ChangePassword target is the user's oldest other device, or
// nil where there is none. An act that is none of these is forbidden.
func (r Rules) May(act Act, actor Record, target *Record, change Change, now time.Time) *RuleError {
	switch act {
	case Delete, EndAll:
		return r.mayEnd(actor, target, now)
	case Update:
		return r.mayUpdate(actor, target, change, now)
	case ChangePassword:
		return r.seniority(actor, target, now)
	default:
		return errNothingToDecide
	}
}

func (r Rules) mayEnd(actor Record, target *Record, now time.Time) *RuleError {
	switch {
	case target != nil && target.UID == actor.UID:
		return ruleSelf
	case !r.AllowDelete:
		return ruleDeleteOff
	case !actor.CanDeleteOthers:
		return ruleNoDeleteRight
	}
	if err := r.seniority(actor, target, now); err != nil {
		return err
	}
	return delay(target, r.DeleteDelay, "deleted", now)
}

func (r Rules) mayUpdate(actor Record, target *Record, change Change, now time.Time) *RuleError {
	if target == nil {
		return errNothingToDecide
	}
	if target.UID == actor.UID {
		if change.touchesRights() {
			return ruleSelf
		}
		return nil // one's own name can always be changed
	}
	switch {
	case !r.AllowUpdate:
		return ruleUpdateOff
	case !actor.CanUpdateOthers:
		return ruleNoUpdateRight
	}
	if err := r.seniority(actor, target, now); err != nil {
		return err
	}
	if err := delay(target, r.UpdateDelay, "edited", now); err != nil {
		return err
	}
	if grants(change.CanUpdateOthers) && !actor.CanUpdateOthers || grants(change.CanDeleteOthers) && !actor.CanDeleteOthers {
		return ruleEscalation
	}
	return nil
}

func grants(right *bool) bool { return right != nil && *right }

// seniority keeps an intruder who signed in just now from ending, changing or outliving the devices that
// were there before him. At exactly the delay's age a device is old enough.
func (r Rules) seniority(actor Record, target *Record, now time.Time) *RuleError {
	if target == nil || actor.UID == target.UID || actor.Ordinal < target.Ordinal {
		return nil
	}
	left := r.SeniorityDelay - now.Sub(actor.CreatedAt)
	if left <= 0 {
		return nil
	}
	return &RuleError{
		Code: "device_too_new", RetryAfter: left,
		Detail: fmt.Sprintf("This device signed in too recently to end or change an older one. Try again in %s, or use the older device.", words(roundUp(left))),
	}
}

// delay keeps a target safe for a while after its sign-in. At exactly the delay's age it is no longer.
func delay(target *Record, wait time.Duration, verb string, now time.Time) *RuleError {
	if target == nil || now.Sub(target.CreatedAt) >= wait {
		return nil
	}
	return &RuleError{
		Code: "device_session_too_recent", RetryAfter: wait - now.Sub(target.CreatedAt),
		Detail: fmt.Sprintf("This session is too recent to be %s. Try again after %s from creation.", verb, words(wait)),
	}
}

func roundUp(d time.Duration) time.Duration {
	if rest := d % time.Minute; rest > 0 {
		return d - rest + time.Minute
	}
	return d
}

// words writes a duration in weeks, days, hours and minutes, as "1 day, 2 hours".
func words(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"week", 7 * 24 * time.Hour}, {"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}}
	var parts []string
	for _, u := range units {
		n := d / u.size
		d -= n * u.size
		switch {
		case n == 1:
			parts = append(parts, "1 "+u.name)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, u.name))
		}
	}
	if len(parts) == 0 {
		return "0 minutes"
	}
	return strings.Join(parts, ", ")
}
