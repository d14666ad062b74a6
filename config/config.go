// Package config reads the service's configuration into one documented struct and validates it
// once, before anything listens.
//
// It guarantees: a Config that Load returned is valid in every key and across keys; a Config that
// is not valid is never returned, and then every fault is reported together, each with its file,
// line and column, or its environment variable. An unknown key, a value of the wrong type and a
// network that would trust everybody are faults, so a slip of the pen stops the start instead of
// opening the gate: the package fails closed. Nothing is read but the Source that is handed in.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration. Build one with Default or Load; both hand out maps and slices
// that nothing else refers to, so the caller owns them.
type Config struct {
	Store      Store
	Checks     Checks
	API        API
	Admin      Admin
	Operations Operations

	// TrustedProxies are the hops that are stepped over in X-Forwarded-For, from right to left.
	// Masked, IPv4-mapped addresses turned into IPv4; never every address.
	TrustedProxies []netip.Prefix

	Tokens    Tokens
	Passwords Passwords
	Devices   Devices

	// Policies are the sets of demands that a proxy names per route, by name. "default" always
	// exists.
	Policies map[string]Policy

	IdentityHeaders IdentityHeaders

	// Issuers are the other services whose tokens pass here, at most 16, in the order of the file.
	Issuers []Issuer

	Activity Activity
	Lockout  Lockout
	Geo      Geo
	Log      Log

	// ShutdownTimeout bounds how long requests under way may take to end after a stop signal,
	// 1s to 10m.
	ShutdownTimeout time.Duration

	// Warnings are sentences for the log at start: the configuration is valid, but something in it
	// deserves a look. It is no key.
	Warnings []string
}

// Store is the database file.
type Store struct {
	Path string // relative to the working directory or absolute; created when missing; never empty

	// EncryptionKeyFile is the path of the key that private keys are encrypted with, so that neither
	// the file nor a backup of it gives them away; "" means none. It holds 32 random bytes, raw or as
	// 64 hex digits or base64. A store once encrypted does not open without it.
	EncryptionKeyFile string
}

// Checks is what proxies ask.
type Checks struct {
	HTTP HTTPChecks
	GRPC GRPCChecks

	// AllowedPeers are the networks whose TCP peers may ask; unix sockets always may. Empty: only
	// unix sockets. Every address only where both listeners demand client certificates.
	AllowedPeers []netip.Prefix
}

// HTTPChecks is the listener of the HTTP adapters.
type HTTPChecks struct {
	Address Address
	TLS     TLS
}

// TLS is what a listener proves itself with, as PEM files; all empty: it is plain. They are read again
// when they change.
type TLS struct {
	CertFile     string // the certificate, intermediate ones behind it; set exactly when KeyFile is
	KeyFile      string
	ClientCAFile string // callers must show a certificate of one of these authorities; "" means they need none
}

// On says whether the listener speaks TLS.
func (t TLS) On() bool { return t.CertFile != "" }

// GRPCChecks is the listener of Envoy's ext_authz service.
type GRPCChecks struct {
	Address Address
	TLS     TLS
	Policy  string // used when a check names none; always a key of Config.Policies
}

// API is the REST interface for people and apps.
type API struct {
	Address  Address
	TLS      TLS    // without ClientCAFile
	BasePath string // "" or a path with a leading and without a trailing slash

	// CORSAllowedOrigins are the origins whose pages may read what the API answers, as browsers write them
	// (Fetch standard, "CORS protocol"). None: pages of other origins read nothing.
	CORSAllowedOrigins []string

	// SignInRate is how many sign-ins one network (an IPv4 address, an IPv6 /64) may try, right or
	// wrong.
	SignInRate Rate
}

// Admin is how the service is administered: by the command line, and by whoever may use /admin.
type Admin struct {
	Socket  string  // path of a unix socket; "" means store.path + ".sock": ask Config.AdminSocket
	Address Address // where /admin is answered besides; off unless it is set
	TLS     TLS     // of Address
}

// Operations is the listener of health and metrics.
type Operations struct {
	Address Address
}

// Tokens is what is issued at a sign-in.
type Tokens struct {
	Issuer          string        // the claim iss, 1 to 256 printable ASCII characters without spaces
	Audience        string        // the claim aud, likewise
	Algorithm       string        // of new keys: EdDSA, ES256 or RS256; a change rotates
	AccessLifetime  time.Duration // 1m to 24h; also the longest exp - iat accepted from ourselves
	RefreshLifetime time.Duration // from the last refresh; AccessLifetime to 3650d
	RefreshRotation bool          // a refresh token is replaced at every use; false: it stays, and reuse cannot be detected
	RefreshGrace    time.Duration // how long the previous refresh token answers with its successor again; 0s to 1h
	Leeway          time.Duration // for nbf and iat, never for exp; 0s to 60s

	// SigningKeyFile is the path of keys kept outside the store, PEM or JWK or a JWKS: the first
	// signs, all verify. "" means none. With it no key of the store signs, and KeyRotation does
	// nothing: whoever writes the file rotates.
	SigningKeyFile string

	// KeyRotation is the age at which a key is replaced, AccessLifetime + 2h to 3650d; 0 means on
	// command alone. The next key is published an hour before it signs.
	KeyRotation time.Duration
}

// Passwords is how passwords are accepted and hashed.
type Passwords struct {
	MinLength     int // code points, 8 to 256
	MaxConcurrent int // hashes at a time, 0 to 1024; 0 means cores - 1, at least 1
	Argon2id      Argon2id
}

// Argon2id is the cost of one hash. The defaults are also the least that is accepted.
type Argon2id struct {
	Memory      int64 // bytes, a whole number of KiB, 19 MiB to 1 GiB
	Iterations  int   // 2 to 64
	Parallelism int   // 1 to 16
}

// What happens to a sign-in over the limit.
const (
	EvictLeastRecent = "evict_least_recent"
	EvictOldest      = "evict_oldest"
	RefuseSignIn     = "refuse"
)

// What happens when a device changes its address within the window.
const (
	IPChangeOff    = "off"
	IPChangeNote   = "note"
	IPChangeRevoke = "revoke"
)

// Devices is how many devices a user may have, for how long, and what they may do to each other.
type Devices struct {
	MaxDevices       int            // per user, 0 to HardLimit; 0 means HardLimit
	MaxDevicesByRole map[string]int // by role, 1 to HardLimit; the smallest of the user's roles wins over MaxDevices
	HardLimit        int            // per user, whatever else is set, 1 to 1000
	MaxLifetime      time.Duration  // from the sign-in, refreshed or not, 1m to 36500d; 0 means none
	OnLimit          string         // EvictLeastRecent, EvictOldest or RefuseSignIn

	DeleteDelay    time.Duration // a device younger than this cannot be ended by another
	UpdateDelay    time.Duration // nor changed
	SeniorityDelay time.Duration // a device younger than this cannot end or change an older one
	AllowDelete    bool          // whether devices may end others at all
	AllowUpdate    bool          // whether they may change others

	DefaultCanUpdateOthers bool // rights of a new device
	DefaultCanDeleteOthers bool

	ReuseKnownDevice bool // a sign-in that proves its device keeps the device_uid
	IPChange         IPChange
}

// IPChange is what happens when a device is used from another address within Window of its last use. A
// change between IPv4 and IPv6, or within a /64, never counts.
type IPChange struct {
	Action string         // IPChangeOff, IPChangeNote or IPChangeRevoke
	Window time.Duration  // 0s to 1d
	Exempt []netip.Prefix // addresses that may change: to or from one of these never counts
}

// Policy is a set of demands. That of an empty map demands a live device of an enabled user and no more.
type Policy struct {
	// RequireRoles: the user must have one of them. Empty: no role is asked for; a configuration
	// that spells the key out and leaves it empty is refused.
	RequireRoles    []string
	RequireAllRoles []string // the user must have each of them

	MinDeviceAge time.Duration // since the device was made, 0s to 3650d
	MaxDeviceAge time.Duration // 0s for no limit, else over MinDeviceAge, to 3650d

	// AllowedNetworks are those that clients may come from; all when empty. Masked, IPv4-mapped addresses
	// turned into IPv4.
	AllowedNetworks []netip.Prefix

	// RequireCountry and DenyCountry are ISO 3166-1 alpha-2 codes in upper case, none in both. An address whose
	// place is not known is in neither, so RequireCountry fails closed and DenyCountry open. Places are looked
	// up in Geo.MMDBFile, which is set then: a check waits for nobody.
	RequireCountry []string
	DenyCountry    []string

	Anonymous     string // PolicyDeny or PolicyAllow: a request without any token passes, without an identity
	CORSPreflight string // PolicyDeny or PolicyAllow: a CORS preflight without a token passes likewise
	Authorization string // PolicyKeep or PolicyRemove: whether the backend gets the token
	Mode          string // PolicyEnforce or PolicyReport: nobody is refused, and nobody known
}

// The words of policies.
const (
	PolicyDeny    = "deny"
	PolicyAllow   = "allow"
	PolicyKeep    = "keep"
	PolicyRemove  = "remove"
	PolicyEnforce = "enforce"
	PolicyReport  = "report"
)

// IdentityHeaders are the names of the headers that tell a backend who is asking. Letters, digits
// and dashes, distinct in any letter case, and none that a proxy or a backend acts on.
type IdentityHeaders struct {
	User   string
	Roles  string
	Device string

	// Assertion is the header of the signed identity; "" means that none is made. Where one is, the answer to a
	// proxy fits whatever name and roles somebody has: AssertionBytes.
	Assertion string
}

// What happens to a good token of another issuer whose device is not known here.
const (
	UnknownDeviceRefuse   = "refuse"
	UnknownDeviceRegister = "register"
)

// RefreshExchange is the Issuer.Refresh that is not none.
const RefreshExchange = "exchange"

// Issuer is another service whose tokens pass here: what they are checked with, and what is read from
// them. Unlike a Policy it has no useful zero value.
type Issuer struct {
	Name string // 1 to 32 of a-z 0-9 -, of one issuer only; its users are "name:user_id"

	// Algorithms are the only ones its tokens may be signed with, each once, at least one: of RS, PS, ES and
	// HS with 256, 384 or 512, and EdDSA. All are HS where the key is SecretFile, and none is elsewhere: a
	// public key taken for a secret would let everybody who can read it sign.
	Algorithms []string

	// Exactly one of these is set: what the signature is checked with.
	SecretFile    string // path of a shared secret
	JWKSURL       string // absolute URL of a JWKS, https or of this machine; it may hold a key in its query, so it belongs in no log
	JWKSFile      string // path of a JWKS
	PublicKeyFile string // path of a public key in PEM

	// Issuer is the claim iss, 1 to 256 printable ASCII characters without spaces and never
	// Tokens.Issuer. "" means that iss is not compared.
	Issuer string

	// Exactly one of these is set.
	Audience          string // the claim aud, 1 to 256 printable ASCII characters without spaces
	AcceptAnyAudience bool   // tokens pass whatever service they are meant for

	MaxLifetime time.Duration // longest exp - iat, or exp - now without iat; 1s to 365d, whole seconds
	Leeway      time.Duration // for nbf and iat, never for exp; 0s to 1m, whole seconds
	Claims      IssuerClaims

	// Roles turns its roles, 1 to 256 bytes of printable text, into ours; what is not named here is dropped.
	// Never to "admin": another service must not make administrators here. Empty when Claims.Roles is "".
	Roles map[string]string

	UnknownDevice string // UnknownDeviceRefuse or UnknownDeviceRegister
	MaxDevices    int    // per user, for UnknownDeviceRegister; 1 to Devices.HardLimit

	// Refresh is "", or RefreshExchange: its refresh token gets a pair of our own, once. Only a claim
	// token_type tells its refresh tokens from its access tokens, so without one nothing is exchanged.
	Refresh string
}

// IssuerClaims are the names of the claims that are read from an issuer's tokens. Where the payload has
// no member of a name with dots in it, they lead into objects ("realm_access.roles"). At most 256 bytes of
// printable text, all different but for the first two.
type IssuerClaims struct {
	UserID    string // never ""
	Username  string // "" means that no name is read
	Roles     string // "" means that no roles are read
	DeviceUID string // never ""
}

// Activity is how much of the history of sign-ins is kept. The oldest goes first.
type Activity struct {
	Retention  time.Duration // how long an entry is kept, 1h to 3650d
	MaxPerUser int           // entries of one user, 10 to 1000000
	MaxTotal   int           // entries of all together, MaxPerUser to 100000000 and at least 1000
}

// Lockout is how long guessing has to wait. A failed sign-in counts for Window; from a threshold on
// each further one has to wait, BaseDelay at first and MaxDelay at most.
type Lockout struct {
	Threshold     int           // failures of one name from one network, 1 to 1000
	NameThreshold int           // failures of one name from everywhere, Threshold to 100000
	BaseDelay     time.Duration // 1s to 1d
	MaxDelay      time.Duration // BaseDelay to 30d
	Window        time.Duration // MaxDelay to 365d, at least 1m

	// ExemptNetworks are the networks whose failures are not counted. Masked, IPv4-mapped addresses
	// turned into IPv4; never every address.
	ExemptNetworks []netip.Prefix
}

// Geo is where the place of an address is looked up. Without a file and a URL every place is
// unknown.
type Geo struct {
	MMDBFile string // path of a MaxMind database; "" means none

	// HTTPURL is an absolute http or https URL with {ip} once in its path or query, where the
	// address is put in; "" means none. It may hold a key of the service that answers there, so it
	// belongs in no log.
	HTTPURL     string
	HTTPTimeout time.Duration // 100ms to 30s
}

// Log is what is written to standard error.
type Log struct {
	Level         string // trace, debug, info, warn or error
	Format        string // auto, json or console; auto is JSON unless standard error is a terminal
	AllowedSample int    // one of so many allowed checks is logged, 1 to 1000000; refusals always are
}

// DefaultPolicy is the name of the policy that always exists.
const DefaultPolicy = "default"

// Default returns the configuration of an empty file: a working service on loopback.
func Default() Config {
	loopback := func() []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	return Config{
		Store: Store{Path: "devicegate.db"},
		Checks: Checks{
			HTTP:         HTTPChecks{Address: Address{"tcp", "127.0.0.1:9280"}},
			GRPC:         GRPCChecks{Address: Address{"tcp", "127.0.0.1:9281"}, Policy: DefaultPolicy},
			AllowedPeers: loopback(),
		},
		API:            API{Address: Address{"tcp", "127.0.0.1:9282"}, CORSAllowedOrigins: []string{}, SignInRate: Rate{Count: 10, Per: time.Minute}},
		Operations:     Operations{Address: Address{"tcp", "127.0.0.1:9283"}},
		TrustedProxies: loopback(),
		Tokens: Tokens{
			Issuer:          "devicegate",
			Audience:        "devicegate",
			Algorithm:       "EdDSA",
			AccessLifetime:  15 * time.Minute,
			RefreshLifetime: 30 * day,
			RefreshRotation: true,
			RefreshGrace:    30 * time.Second,
			Leeway:          5 * time.Second,
			KeyRotation:     90 * day,
		},
		Passwords: Passwords{
			MinLength: recommendedPassword,
			Argon2id:  Argon2id{Memory: 19 * mebibyte, Iterations: 2, Parallelism: 1},
		},
		Devices: Devices{
			MaxDevicesByRole: map[string]int{},
			HardLimit:        200,
			MaxLifetime:      365 * day,
			OnLimit:          EvictLeastRecent,
			SeniorityDelay:   day,
			AllowDelete:      true,
			AllowUpdate:      true,

			DefaultCanUpdateOthers: true,
			DefaultCanDeleteOthers: true,
			ReuseKnownDevice:       true,
			IPChange:               IPChange{Action: IPChangeNote, Window: time.Minute, Exempt: []netip.Prefix{}},
		},
		Policies:        map[string]Policy{DefaultPolicy: newPolicy()},
		IdentityHeaders: IdentityHeaders{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device"},
		Issuers:         []Issuer{},
		Activity:        Activity{Retention: 90 * day, MaxPerUser: 1000, MaxTotal: 1_000_000},
		Lockout: Lockout{
			Threshold:      5,
			NameThreshold:  50,
			BaseDelay:      time.Minute,
			MaxDelay:       time.Hour,
			Window:         day,
			ExemptNetworks: []netip.Prefix{},
		},
		Geo:             Geo{HTTPTimeout: 2 * time.Second},
		Log:             Log{Level: "info", Format: "auto", AllowedSample: 1},
		ShutdownTimeout: 20 * time.Second,
	}
}

// AdminSocket returns the path of the admin socket: Admin.Socket, or store.path + ".sock" where
// that is empty. Load has made sure that the kernel takes it.
func (c *Config) AdminSocket() string {
	if c.Admin.Socket != "" {
		return c.Admin.Socket
	}
	return c.Store.Path + ".sock"
}
