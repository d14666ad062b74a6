package doctor_test

// The sound manifests are written in other ways than the examples: as lists, in JSON, with old groups, in namespaces
// that are not named.
var soundManifests = map[string]string{
	"gate.yaml": `
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: settings, namespace: auth}
    data:
      devicegate.yaml: |
        checks:
          http: {address: ":9280"}
          grpc: {address: ":9281", policy: default}
        policies:
          staff: {require_roles: [staff]}
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: gate, namespace: auth}
    spec:
      strategy: {type: Recreate}
      template:
        metadata: {labels: {app: gate, tier: auth}}
        spec:
          containers:
            - image: registry.example.com/team/devicegate:1.0.0@sha256:0123
              env: [{name: DEVICEGATE_API_ADDRESS, value: "127.0.0.1:9282"}]
          volumes: [{name: c, configMap: {name: settings}}]
  - apiVersion: v1
    kind: Service
    metadata: {name: gate, namespace: auth}
    spec: {selector: {app: gate}, ports: [{port: 9280}, {port: 9281}, {port: 9282}]}
  - apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: gate, namespace: auth}
    spec: {podSelector: {matchLabels: {app: gate}}, ingress: [{from: [{podSelector: {}}]}]}
`,
	"traefik.yaml": `
apiVersion: traefik.containo.us/v1alpha1
kind: Middleware
metadata: {name: check}
spec:
  forwardAuth: {address: "http://gate.auth:9280/auth/traefik?policy=staff", trustForwardHeader: true, authResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]}
---
apiVersion: traefik.io/v1alpha1
kind: MiddlewareList
items:
  - metadata: {name: all}
    spec: {chain: {middlewares: [{name: check}, {name: plain, namespace: default}]}}
  - metadata: {name: plain}
    spec: {compress: {}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {name: app}
spec:
  entryPoints: [web]
  routes:
    - {match: PathPrefix(` + "`/`" + `), kind: Rule, middlewares: [{name: all}], services: [{name: app, port: 80}]}
    - {match: Host(` + "`gate.example.com`" + `), kind: Rule, services: [{name: gate, namespace: auth, port: 9282}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: other
  annotations: {traefik.ingress.kubernetes.io/router.middlewares: default-all@kubernetescrd, traefik.ingress.kubernetes.io/router.entrypoints: web}
spec:
  rules: [{host: other.example.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: proxy, namespace: traefik}
spec:
  template:
    spec:
      containers:
        - image: registry.example.com/proxy:v3
          args: [--entrypoints.web.address=:8000, --entryPoints.web.http.aliasHeadersStrategy=delete, --providers.kubernetescrd.allowCrossNamespace]
`,
	"ingress.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: controller, namespace: ingress}
data: {global-auth-url: "http://gate.auth:9280/auth/nginx?policy=default", global-auth-response-headers: "Remote-User, Remote-Groups, Remote-Device", no-auth-locations: /.well-known/acme-challenge}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: app
  annotations:
    kubernetes.io/ingress.class: my-nginx
spec:
  rules:
    - host: app.example.com
      http: {paths: [{path: /, backend: {service: {name: app, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1beta1
kind: Ingress
metadata:
  name: staff
  annotations:
    nginx.ingress.kubernetes.io/auth-url: http://gate.auth:9280/auth/nginx?policy=staff
    nginx.ingress.kubernetes.io/auth-response-headers: remote-user,remote-groups,remote-device
    nginx.ingress.kubernetes.io/custom-http-errors: "404"
    nginx.ingress.kubernetes.io/configuration-snippet: |
      proxy_set_header X-Other "staff";
      if ($request_method = TRACE) { return 405; }
spec:
  rules:
    - host: staff.example.com
      http: {paths: [{path: /, backend: {serviceName: app, servicePort: 80}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: open
  namespace: auth
  annotations:
    nginx.ingress.kubernetes.io/enable-global-auth: "false"
spec:
  rules:
    - host: app.example.com
      http: {paths: [{path: /gate/, backend: {service: {name: gate, port: {number: 9282}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: somebody-elses, annotations: {note: "http://gate.auth:9280/auth/"}}
spec: {ingressClassName: haproxy, defaultBackend: {service: {name: other, port: {number: 80}}}}
`,
	"gateway.json": `{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge"}, "spec": {"listeners": [{"name": "a"}, {"name": "b"}]}},
{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "ClientTrafficPolicy", "metadata": {"name": "edge"}, "spec": {
 "targetRef": {"kind": "Gateway", "name": "edge"},
 "headers": {"earlyRequestHeaders": {"removeOnMatch": [{"type": "Prefix", "value": "Remote"}]}}}},
{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "all"}, "spec": {
 "targetSelectors": [{"kind": "Gateway", "matchLabels": {}}],
 "extAuth": {"headersToExtAuth": ["x-forwarded-for"], "http": {"backendRef": {"name": "gate", "port": 9280}, "path": "/auth/envoy/default", "headersToBackend": ["remote-user", "remote-groups", "remote-device"]}}}},
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "app"}, "spec": {
 "parentRefs": [{"name": "edge"}], "hostnames": ["app.example.com"], "rules": [{"name": "first", "backendRefs": [{"name": "app", "port": 80}]}]}},
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "staff"}, "spec": {
 "parentRefs": [{"name": "edge"}], "hostnames": ["staff.example.com"], "rules": [
  {"name": "refused", "matches": [{"path": {"type": "RegularExpression", "value": ".*[%;].*"}}], "filters": [{"type": "ExtensionRef", "extensionRef": {"kind": "HTTPRouteFilter", "name": "no"}}]},
  {"name": "first", "matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "app", "port": 80}]}]}},
{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter", "metadata": {"name": "no"}, "spec": {"directResponse": {"statusCode": 404}}},
{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "gate"}, "spec": {
 "parentRefs": [{"name": "edge"}], "rules": [{"matches": [{"path": {"value": "/gate/"}}], "backendRefs": [{"name": "gate", "port": 9282}]}]}}
]}`,
	"mixed.yaml": `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: web}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: edge, namespace: web}
spec:
  targetRefs: [{kind: Gateway, name: edge}]
  headers:
    withUnderscoresAction: DropHeader
    earlyRequestHeaders: {remove: [Remote-User, Remote-Groups, Remote-Device], removeOnMatch: [{type: RegularExpression, value: '.*[^a-z0-9-].*'}]}
  path: {escapedSlashesAction: UnescapeAndForward}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: HTTPRouteFilter
metadata: {name: "no", namespace: web}
spec: {directResponse: {statusCode: 400}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: "no", namespace: web}
spec:
  # refusal
  parentRefs: [{name: edge}]
  rules:
    - matches:
        - path: {type: RegularExpression, value: '.*/[^/]{0,9}[%;].*'}
      filters: [{type: ExtensionRef, extensionRef: {kind: HTTPRouteFilter, name: "no"}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: web}
spec:
  parentRefs: [{name: edge}]
  rules:
    - {name: open, matches: [{path: {value: /open/}}], backendRefs: [{name: app, port: 80}]}
    - {name: staff, matches: [{path: {type: RegularExpression, value: '/staff.*'}}], backendRefs: [{name: app, port: 80}]}
    - {name: rest, backendRefs: [{name: app, port: 80}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: staff, namespace: web}
spec:
  targetRefs: [{kind: HTTPRoute, name: app, sectionName: staff}]
  extAuth: {grpc: {backendRefs: [{name: gate, port: 9281}]}, contextExtensions: [{name: policy, value: staff}]}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata: {name: rest, namespace: web}
spec:
  targetRefs: [{kind: HTTPRoute, name: app, sectionName: rest}]
  extAuth: {grpc: {backendRefs: [{name: gate, port: 9281}]}, contextExtensions: [{name: policy, value: default}]}
`,
	"filter.yaml": `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: another}]
  rules:
    - filters:
        - {type: ExternalAuth, externalAuth: {protocol: GRPC, backendRef: {name: gate, port: 9281}}}
      backendRefs: [{name: app, port: 80}]
    - matches: [{path: {value: /staff}}]
      filters:
        - type: ExternalAuth
          externalAuth:
            protocol: HTTP
            backendRef: {name: gate, port: 9280}
            http: {path: /auth/envoy/staff/, allowedHeaders: [X-Forwarded-For], allowedResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]}
      backendRefs: [{name: app, port: 80}]
`,
	"istio.yaml": `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |-
    pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}
    extensionProviders:
      - name: other
        envoyExtAuthzHttp: {service: sso.auth.svc.cluster.local, port: 80}
      - name: gate
        envoyExtAuthzHttp:
          service: gate.auth.svc.cluster.local
          port: 9280
          pathPrefix: /auth/envoy/default
          includeRequestHeadersInCheck: [x-forwarded-*]
          headersToUpstreamOnAllow: ["remote-*"]
          headersToDownstreamOnDeny: [www-authenticate]
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: gate, namespace: web}
spec:
  selector: {matchLabels: {app: edge, tier: web}}
  action: CUSTOM
  provider: {name: gate}
  rules:
    - to: [{operation: {notPaths: [/healthz], hosts: ["app.example.com", "app.example.com:*"]}}]
---
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: sso, namespace: web}
spec: {action: CUSTOM, provider: {name: other}, rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: gate, namespace: istio-system}
spec:
  workloadSelector: {labels: {app: edge}}
  configPatches:
    - applyTo: NETWORK_FILTER
      match: {context: GATEWAY}
      patch:
        operation: MERGE
        value:
          typed_config:
            early_header_mutation_extensions:
              - typed_config: {mutations: [{remove_on_match: {key_matcher: {prefix: remote}}}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: web}
spec: {selector: {app: edge}, servers: []}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: app, namespace: web}
spec:
  hosts: [app.example.com]
  gateways: [web/edge]
  http:
    - {match: [{uri: {regex: ".*[%;].*"}}], directResponse: {status: 404}}
    - route: [{destination: {host: app, port: {number: 80}}}]
`,
}

var threeTimes = func(code string) []string { return []string{code, code, code} }

var manifestChanges = map[string][]change{
	"gate.yaml": {
		{"two pods", "strategy: {type: Recreate}", "strategy: {type: Recreate}\n      replicas: 2", []string{"kubernetes-gate-replicas"}, nil},
		{"two for a moment", "strategy: {type: Recreate}", "strategy: {type: RollingUpdate}", []string{"kubernetes-gate-replicas"}, nil},
		{"one on every node", "kind: Deployment", "kind: DaemonSet", []string{"kubernetes-gate-replicas"}, nil},
		{"as many as it takes", "- apiVersion: v1\n    kind: Service", "- apiVersion: autoscaling/v2\n    kind: HorizontalPodAutoscaler\n    metadata: {name: gate, namespace: auth}\n    spec: {scaleTargetRef: {kind: Deployment, name: gate}, maxReplicas: 3}\n  - apiVersion: v1\n    kind: Service",
			[]string{"kubernetes-gate-replicas"}, nil},
		{"a gate in a sidecar", "containers:", "initContainers:", nil, nil},
		{"two of these", "containers:", "initContainers:", []string{"kubernetes-gate-replicas"}, []string{"strategy: {type: Recreate}", "replicas: 2\n      strategy: {type: Recreate}"}},
		{"a policy for other pods", "podSelector: {matchLabels: {app: gate}}", "podSelector: {matchLabels: {app: other}}", []string{"kubernetes-gate-exposed"}, nil},
		{"a policy for pods by expressions", "podSelector: {matchLabels: {app: gate}}", "podSelector: {matchExpressions: [{key: app, operator: In, values: [other]}]}", []string{"kubernetes-gate-exposed"}, nil},
		{"a policy for everybody", "[{from: [{podSelector: {}}]}]", "[{ports: [{port: 9280}]}]", []string{"kubernetes-gate-exposed"}, nil},
		{"a policy for all addresses", "[{podSelector: {}}]", "[{ipBlock: {cidr: 0.0.0.0/0}}]", []string{"kubernetes-gate-exposed"}, nil},
		{"a policy for all namespaces", "[{podSelector: {}}]", "[{namespaceSelector: {}}]", []string{"kubernetes-gate-exposed"}, nil},
		{"a policy for the way out", "podSelector: {matchLabels: {app: gate}},", "podSelector: {matchLabels: {app: gate}}, policyTypes: [Egress],", []string{"kubernetes-gate-exposed"}, nil},
		{"a port of the node", "spec: {selector: {app: gate},", "spec: {type: NodePort, selector: {app: gate},", []string{"kubernetes-gate-exposed"}, nil},
		{"loopback alone", `address: ":9280"`, `address: "127.0.0.1:9280"`, nil, []string{`address: ":9281"`, `address: "127.0.0.1:9281"`, "app: gate}}, ingress", "app: other}}, ingress"}},
		{"a fault", "policies:", "polices:", []string{"gate-config"}, nil},
		{"a fault of the environment", `value: "127.0.0.1:9282"`, `value: "nowhere"`, []string{"gate-config"}, nil},
		{"no YAML", "policies:", "policies: [", []string{"cannot-parse"}, nil},
		{"a policy that refuses nobody", "require_roles: [staff]", "require_roles: [staff], mode: report", []string{"gate-report-mode"}, nil},
	},
	"traefik.yaml": {
		{"aliases", "aliasHeadersStrategy=delete", "aliasHeadersStrategy=keep", append(threeTimes("traefik-identity-kept"), "traefik-aliases"), nil},
		{"an entry point that trusts everybody", "--entrypoints.web.address=:8000", `--entrypoints.web.forwardedHeaders.trustedIPs, "0.0.0.0/0"`, []string{"traefik-forwarded-insecure"}, nil},
		{"the same with a flag", "--entrypoints.web.address=:8000", "--entrypoints.web.forwardedHeaders.insecure", []string{"traefik-forwarded-insecure"}, nil},
		{"the endpoint of another proxy", "/auth/traefik?", "/auth/nginx?", []string{"traefik-check-endpoint"}, nil},
		{"a misspelt middleware", "middlewares: [{name: all}]", "middlewares: [{name: al}]", []string{"traefik-unknown-middleware"}, nil},
		{"a misspelt one in an annotation", "default-all@kubernetescrd", "default-al@kubernetescrd", []string{"traefik-unknown-middleware"}, nil},
		{"a middleware of another namespace", "{name: plain, namespace: default}", "{name: plain, namespace: web}", []string{"traefik-unknown-middleware", "traefik-unknown-middleware"}, nil},
		{"the check of no route", "{name: check}, {name: plain", "{name: plain", []string{"traefik-check-unused"}, nil},
		{"an open route", "    - {match: Host(`gate.example.com`)", "    - {match: PathPrefix(`/open/`), kind: Rule, services: [{name: app, port: 80}]}\n    - {match: Host(`gate.example.com`)",
			append(append(threeTimes("traefik-identity-on-open"), threeTimes("traefik-encoded-characters")...), append(threeTimes("traefik-encoded-characters"), "traefik-encoded-characters", "traefik-dot-segment", "traefik-dot-segment", "traefik-dot-segment")...), nil},
		{"an open Ingress", "{traefik.ingress.kubernetes.io/router.middlewares: default-all@kubernetescrd, ", "{",
			append(append(threeTimes("traefik-identity-on-open"), threeTimes("traefik-encoded-characters")...), append(threeTimes("traefik-encoded-characters"), "traefik-encoded-characters", "traefik-dot-segment", "traefik-dot-segment")...), nil},
		{"a name of another namespace", ", --providers.kubernetescrd.allowCrossNamespace", "", []string{"kubernetes-cross-namespace"}, nil},
		{"a route to the check", "namespace: auth, port: 9282", "namespace: auth, port: 9280", []string{"kubernetes-check-reachable"}, nil},
		{"routes of TCP past it", "kind: IngressRoute\nmetadata: {name: app}", "kind: IngressRouteTCP\nmetadata: {name: tcp}\nspec: {routes: [{match: HostSNI(`*`), services: [{name: app, port: 443}]}]}\n---\napiVersion: traefik.io/v1alpha1\nkind: IngressRoute\nmetadata: {name: app}",
			[]string{"traefik-tcp-unchecked"}, nil},
		{"a route of the Gateway API", "kind: IngressRoute\nmetadata: {name: app}", "kind: IngressRoute\nmetadata: {name: more}\nspec: {routes: []}\n---\n" + httpRoute + "kind: IngressRoute\nmetadata: {name: app}", nil, nil},
		{"the same with a misspelt middleware", "kind: IngressRoute\nmetadata: {name: app}", "kind: IngressRoute\nmetadata: {name: more}\nspec: {routes: []}\n---\n" + httpRoute + "kind: IngressRoute\nmetadata: {name: app}",
			[]string{"traefik-unknown-middleware"}, []string{"kind: Middleware, name: all", "kind: Middleware, name: al"}},
		{"a parent", "entryPoints: [web]\n  routes:", "parentRefs: [{name: first}]\n  routes:", nil, nil},
		{"nobody is asked", "/auth/traefik?", "/verify?", append(threeTimes("traefik-identity-on-open"), "asks-nobody"), nil},
	},
	"ingress.yaml": {
		{"the endpoint of another proxy", "/auth/nginx?policy=staff", "/auth/traefik?policy=staff", []string{"kubernetes-ingress-endpoint"}, nil},
		{"annotations that Traefik reads", "apiVersion: v1\nkind: ConfigMap", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: t}\nspec: {template: {spec: {containers: [{command: [traefik, --providers.kubernetesingressnginx]}]}}}\n---\napiVersion: v1\nkind: ConfigMap",
			[]string{"kubernetes-ingress-endpoint", "kubernetes-ingress-endpoint"}, nil},
		{"the client's policy", "/auth/nginx?policy=staff", "/auth/nginx?policy=$http_x_policy", []string{"kubernetes-ingress-policy-from-client"}, nil},
		{"a name that is kept", "remote-user,remote-groups,remote-device", "remote-user,remote-groups", []string{"kubernetes-ingress-identity-kept"}, nil},
		{"the same for all", "Remote-User, Remote-Groups, Remote-Device", "Remote-User, Remote-Groups", []string{"kubernetes-ingress-identity-kept"}, nil},
		{"satisfy any", `custom-http-errors: "404"`, "satisfy: any", []string{"kubernetes-ingress-satisfy-any"}, nil},
		{"a decision that is kept", `custom-http-errors: "404"`, "auth-cache-key: $http_authorization", []string{"kubernetes-ingress-cache"}, nil},
		{"the same for all", "data: {", "data: {global-auth-cache-key: $remote_addr, ", []string{"kubernetes-ingress-cache"}, nil},
		{"pages for refusals", `custom-http-errors: "404"`, `custom-http-errors: "404,401"`, []string{"kubernetes-ingress-error-pages"}, nil},
		{"the same for all", "data: {", `data: {custom-http-errors: "404, 503", `, []string{"kubernetes-ingress-error-pages"}, nil},
		{"copies", `custom-http-errors: "404"`, "mirror-target: http://copies/", []string{"kubernetes-ingress-mirror"}, nil},
		{"TLS unopened", `custom-http-errors: "404"`, `ssl-passthrough: "true"`, []string{"kubernetes-ingress-passthrough"}, nil},
		{"a misspelt annotation", "nginx.ingress.kubernetes.io/auth-url", "nginx.ingress.kubernetes.io/auth-uri", []string{"kubernetes-ingress-annotation"}, nil},
		{"nobody is asked", `nginx.ingress.kubernetes.io/custom-http-errors: "404"`, `nginx.ingress.kubernetes.io/enable-global-auth: "false"`,
			append(threeTimes("kubernetes-identity-on-open"), "kubernetes-ingress-no-check"), []string{"nginx.ingress.kubernetes.io/auth-url: http://gate.auth:9280/auth/nginx?policy=staff", "other: nothing"}},
		{"underscores", "data: {", `data: {enable-underscores-in-headers: "true", `, []string{"kubernetes-ingress-controller"}, nil},
		{"odd names", "data: {", `data: {ignore-invalid-headers: "false", `, []string{"kubernetes-ingress-controller"}, nil},
		{"paths that nobody is asked about", "no-auth-locations: /.well-known/acme-challenge", "no-auth-locations: /", []string{"kubernetes-ingress-controller"}, nil},
		{"an answer before the check", "return 405;", "return 200;", []string{"kubernetes-ingress-snippet"}, nil},
		{"a check that is turned off", `proxy_set_header X-Other "staff";`, "auth_request off;", []string{"kubernetes-ingress-snippet"}, nil},
		{"an identity of the snippet's", "X-Other", "Remote-User", []string{"kubernetes-ingress-snippet"}, nil},
		{"another one", `proxy_set_header X-Other "staff";`, `more_set_input_headers "Remote-User: a";`, []string{"kubernetes-ingress-snippet"}, nil},
		{"a check that is told something else", "configuration-snippet", "auth-snippet", []string{"kubernetes-ingress-snippet"}, []string{"proxy_set_header X-Other", "proxy_set_header X-Original-URL"}},
		{"an answer within the check", "configuration-snippet", "auth-snippet", []string{"kubernetes-ingress-snippet"}, []string{"X-Other \"staff\"", "X-Other \"staff\"; error_page 401 =200 /"}},
		{"a location of its own", "configuration-snippet", "server-snippet", []string{"kubernetes-ingress-snippet"}, []string{`proxy_set_header X-Other "staff";`, "location /in { proxy_pass http://app; }"}},
		{"aliases by a snippet", "configuration-snippet", "server-snippet", []string{"kubernetes-ingress-snippet"}, []string{`proxy_set_header X-Other "staff";`, "underscores_in_headers on;"}},
		{"a program", `proxy_set_header X-Other "staff";`, "access_by_lua_file x.lua;", []string{"kubernetes-ingress-snippet"}, nil},
		{"a snippet that cannot be read", "return 405; }", "return 405;", []string{"kubernetes-ingress-snippet"}, nil},
		{"two policies on one host", "host: staff.example.com", "host: app.example.com", []string{"kubernetes-ingress-paths"}, nil},
		{"the same with a refusal", "host: staff.example.com", "host: app.example.com", nil,
			[]string{"configuration-snippet", "server-snippet", `proxy_set_header X-Other "staff";`, `if ($request_uri ~* "[^a-z/]|//") { return 400; }`}},
		{"the same with a rewrite", "host: staff.example.com", "host: app.example.com", []string{"kubernetes-ingress-rewrite"},
			[]string{"configuration-snippet", "server-snippet", `proxy_set_header X-Other "staff";`, `if ($request_uri ~* "[^a-z/]|//") { return 400; }`, `custom-http-errors: "404"`, "rewrite-target: /$1"}},
		{"an open path to the same Service", "path: /gate/, backend: {service: {name: gate, port: {number: 9282}}}", "path: /open/, backend: {service: {name: app, port: {number: 80}}}",
			append(threeTimes("kubernetes-identity-on-open"), "kubernetes-ingress-no-check", "kubernetes-ingress-paths"), []string{"namespace: auth", "namespace: default"}},
		{"a canary", `enable-global-auth: "false"`, `canary: "true"`, nil, []string{"path: /gate/, backend: {service: {name: gate, port: {number: 9282}}}", "path: /, backend: {service: {name: app, port: {number: 80}}}", "namespace: auth", "namespace: default"}},
		{"another controller to the same Service", "name: other, port", "name: app, port", []string{"kubernetes-backend-unchecked"}, nil},
		{"clients at the check", "name: gate, port: {number: 9282}", "name: gate, port: {number: 9280}", []string{"kubernetes-check-reachable"}, nil},
	},
	"gateway.json": {
		{"fails open", `"extAuth": {`, `"extAuth": {"failOpen": true, `, []string{"kubernetes-fail-open"}, nil},
		{"a path without a policy", "/auth/envoy/default", "/auth/envoy", []string{"kubernetes-path-prefix"}, nil},
		{"a path that takes the place of all", `"path": "/auth/envoy/default"`, `"pathOverride": "/auth/nginx"`, []string{"kubernetes-path-prefix"}, nil},
		{"a name that is not passed on", `["remote-user", "remote-groups", "remote-device"]`, `["remote-user", "remote-groups"]`, []string{"kubernetes-upstream-headers"}, nil},
		{"no client address", `"headersToExtAuth": ["x-forwarded-for"]`, `"headersToExtAuth": ["x-other"]`, []string{"kubernetes-allowed-headers"}, nil},
		{"over gRPC without a policy", `"headersToExtAuth": ["x-forwarded-for"], "http"`, `"grpc"`, []string{"kubernetes-policy-not-named"}, nil},
		{"over gRPC with one", `"headersToExtAuth": ["x-forwarded-for"], "http"`, `"contextExtensions": [{"name": "policy", "value": "default"}], "grpc"`, nil, nil},
		{"over gRPC with one of another object", `"headersToExtAuth": ["x-forwarded-for"], "http"`, `"contextExtensions": [{"name": "policy", "valueRef": {"kind": "ConfigMap"}}], "grpc"`, nil, nil},
		{"over gRPC without the token", `"headersToExtAuth": ["x-forwarded-for"], "http"`, `"contextExtensions": [{"name": "policy", "value": "default"}], "headersToExtAuth": ["x-forwarded-for"], "grpc"`, []string{"kubernetes-allowed-headers"}, nil},
		{"a route that is chosen anew", `"extAuth": {`, `"extAuth": {"recomputeRoute": true, `, []string{"kubernetes-clear-route-cache"}, nil},
		{"a target that is not there", `"targetSelectors": [{"kind": "Gateway", "matchLabels": {}}]`, `"targetRefs": [{"kind": "Gateway", "name": "edge"}, {"kind": "HTTPRoute", "name": "ap"}]`, []string{"kubernetes-target-missing"}, nil},
		{"a section that is not there", `"targetSelectors": [{"kind": "Gateway", "matchLabels": {}}]`, `"targetRefs": [{"kind": "Gateway", "name": "edge"}, {"kind": "HTTPRoute", "name": "app", "sectionName": "second"}]`, []string{"kubernetes-target-missing"}, nil},
		{"a policy of another namespace", `{"name": "all"}`, `{"name": "all", "namespace": "web"}`, []string{"kubernetes-target-missing"}, nil},
		{"labels by expressions", `"matchLabels": {}`, `"matchExpressions": [{"key": "a", "operator": "Exists"}]`, []string{"kubernetes-target-missing"}, nil},
		{"labels that nothing has", `"matchLabels": {}`, `"matchLabels": {"a": "b"}`, []string{"kubernetes-target-missing"}, nil},
		{"a policy in its place", `{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`,
			`{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "cors"}, "spec": {"targetRef": {"kind": "HTTPRoute", "name": "app", "sectionName": "first"}, "cors": {}}}, {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`,
			[]string{"kubernetes-path-refusal", "kubernetes-policy-overridden"}, nil},
		{"the same, merged", `{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`,
			`{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy", "metadata": {"name": "cors"}, "spec": {"targetRef": {"kind": "HTTPRoute", "name": "app"}, "mergeType": "StrategicMerge", "cors": {}}}, {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`, nil, nil},
		{"a route to the check", `"backendRefs": [{"name": "gate", "port": 9282}]`, `"backendRefs": [{"name": "gate", "port": 9280}]`, []string{"kubernetes-check-reachable"}, nil},
		{"identity kept", `"value": "Remote"`, `"value": "Other"`, append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"settings of nothing", `"targetRef": {"kind": "Gateway", "name": "edge"}`, `"targetRef": {"kind": "Gateway", "name": "edg"}`, append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"a listener of its own", `{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`,
			`{"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "ClientTrafficPolicy", "metadata": {"name": "b"}, "spec": {"targetRef": {"kind": "Gateway", "name": "edge", "sectionName": "b"}}}, {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "HTTPRouteFilter"`,
			append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"aliases", `{"removeOnMatch": [{"type": "Prefix", "value": "Remote"}]}`, `{"remove": ["Remote-User", "remote-groups", "remote-device"]}`, []string{"kubernetes-aliases"}, nil},
		{"aliases with underscores", `{"removeOnMatch": [{"type": "Prefix", "value": "Remote"}]}`, `{"removeOnMatch": [{"type": "RegularExpression", "value": "remote[^_]*"}]}`, []string{"kubernetes-aliases"}, []string{`"headers": {`, `"headers": {"withUnderscoresAction": "Allow", `}},
		{"names in another part of a word", `{"type": "Prefix", "value": "Remote"}`, `{"type": "Exact", "value": "Remote"}`, append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"identity taken away again", `"rules": [{"name": "first", `, `"rules": [{"name": "first", "filters": [{"requestHeaderModifier": {"remove": ["Remote-User"]}}], `, []string{"kubernetes-identity-lost"}, nil},
		{"identity of the route's", `"rules": [{"name": "first", `, `"rules": [{"name": "first", "filters": [{"requestHeaderModifier": {"set": [{"name": "Remote-User", "value": "x"}]}}], `, []string{"kubernetes-identity-lost"}, nil},
		{"the client's address", `"headers": {`, `"clientIPDetection": {"customHeader": {"name": "x-ip"}}, "headers": {`, []string{"kubernetes-client-address"}, nil},
		{"everybody's addresses", `"headers": {`, `"clientIPDetection": {"xForwardedFor": {"trustedCIDRs": ["0.0.0.0/0"]}}, "headers": {`, []string{"kubernetes-client-address"}, nil},
	},
	"mixed.yaml": {
		{"a stricter route by segments", "{type: RegularExpression, value: '/staff.*'}", "{value: /staff}", []string{"kubernetes-strict-path"}, nil},
		{"a shorter refusal", "'.*/[^/]{0,9}[%;].*'", "'.*%.*'", []string{"kubernetes-path-refusal"}, nil},
		{"a refusal that comes too late", "'/staff.*'", "'/staff[a-z]*/?[a-z]*.*'", []string{"kubernetes-path-refusal"}, nil},
		{"a refusal of some requests", "- path: {type: RegularExpression, value: '.*/[^/]{0,9}[%;].*'}", "- {path: {type: RegularExpression, value: '.*/[^/]{0,9}[%;].*'}, method: GET}", []string{"kubernetes-path-refusal"}, nil},
		{"a refusal on another host", "# refusal", "hostnames: [other.example.com]", []string{"kubernetes-path-refusal"}, nil},
		{"an answer that is none", "statusCode: 400", "statusCode: 200", []string{"kubernetes-path-refusal"}, nil},
		{"an open route by a header", "{value: /open/}", "{value: /}, headers: [{name: x, value: y}]", []string{"kubernetes-open-by-client"}, nil},
		{"an open route without its prefix", "{name: open, ", "{name: open, filters: [{type: URLRewrite, urlRewrite: {path: {replacePrefixMatch: /}}}], ", []string{"kubernetes-open-prefix-off"}, nil},
		{"another gateway to the same Service", "kind: Gateway\nmetadata: {name: edge, namespace: web}\n---",
			"kind: Gateway\nmetadata: {name: edge, namespace: web}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: inner, namespace: web}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: inner, namespace: web}\nspec: {parentRefs: [{name: inner}], rules: [{backendRefs: [{name: app, port: 80}]}]}\n---",
			[]string{"kubernetes-backend-unchecked"}, nil},
		{"the same with its identity removed", "kind: Gateway\nmetadata: {name: edge, namespace: web}\n---",
			"kind: Gateway\nmetadata: {name: edge, namespace: web}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: inner, namespace: web}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: inner, namespace: web}\nspec: {parentRefs: [{name: inner}], rules: [{backendRefs: [{name: app, port: 80}]}]}\n---",
			nil, []string{"targetRefs: [{kind: Gateway, name: edge}]", "targetRefs: [{kind: Gateway, name: edge}, {kind: Gateway, name: inner}]"}},
		{"an Ingress to the same Service", "kind: Gateway\nmetadata: {name: edge, namespace: web}\n---",
			"kind: Gateway\nmetadata: {name: edge, namespace: web}\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: inner, namespace: web}\nspec: {defaultBackend: {service: {name: app}}}\n---",
			[]string{"kubernetes-backend-unchecked"}, nil},
		{"slashes", "path: {escapedSlashesAction: UnescapeAndForward}", "path: {escapedSlashesAction: KeepUnchanged, disableMergeSlashes: true}", []string{"kubernetes-path-cleaning", "kubernetes-path-cleaning"}, nil},
		{"identity kept", "remove: [Remote-User, ", "remove: [", []string{"kubernetes-gateway-open", "kubernetes-identity-not-removed"}, nil},
	},
	"filter.yaml": {
		{"a path without a policy", "path: /auth/envoy/staff/", "path: /auth/envoy/", []string{"kubernetes-path-prefix"}, nil},
		{"a name that is not passed on", "allowedResponseHeaders: [Remote-User, ", "allowedResponseHeaders: [", []string{"kubernetes-upstream-headers"}, nil},
		{"no client address", "allowedHeaders: [X-Forwarded-For], ", "", []string{"kubernetes-allowed-headers"}, nil},
		{"no token", "backendRef: {name: gate, port: 9281}", "backendRef: {name: gate, port: 9281}, grpc: {allowedHeaders: [cookie]}", []string{"kubernetes-allowed-headers"}, nil},
		{"identity taken away again", "    - filters:\n", "    - filters:\n        - {type: RequestHeaderModifier, requestHeaderModifier: {remove: [remote-user]}}\n", []string{"kubernetes-identity-lost"}, nil},
	},
	"istio.yaml": {
		{"fails open", "port: 9280", "port: 9280\n          failOpen: true", []string{"kubernetes-fail-open"}, nil},
		{"a route that is chosen anew", "port: 9280", "port: 9280\n          clearRouteCache: true", []string{"kubernetes-clear-route-cache"}, nil},
		{"a prefix without a policy", "/auth/envoy/default", "/auth/envoy", []string{"kubernetes-path-prefix"}, nil},
		{"a name that is not passed on", `["remote-*"]`, `["*-user", remote-groups]`, []string{"kubernetes-upstream-headers"}, nil},
		{"no client address", "[x-forwarded-*]", "[cookie]", []string{"kubernetes-allowed-headers"}, nil},
		{"every header of a refusal", "          headersToDownstreamOnDeny: [www-authenticate]\n", "", []string{"kubernetes-client-headers"}, nil},
		{"never", "rules:\n    - to: [{operation: {notPaths: [/healthz], hosts: [\"app.example.com\", \"app.example.com:*\"]}}]", "rules: []", []string{"kubernetes-istio-never"}, nil},
		{"some paths", "notPaths: [/healthz]", "paths: [/staff*]", []string{"kubernetes-istio-paths"}, nil},
		{"open by the end", "notPaths: [/healthz]", "notPaths: ['*.css']", []string{"kubernetes-istio-paths"}, nil},
		{"open by the begin", "notPaths: [/healthz]", "notPaths: [/open*]", []string{"kubernetes-istio-paths"}, nil},
		{"some methods", "notPaths: [/healthz]", "notMethods: [OPTIONS]", []string{"kubernetes-istio-partial"}, nil},
		{"some headers", "    - to: [{operation: {notPaths", "    - when: [{key: 'request.headers[x]'}]\n      to: [{operation: {notPaths", []string{"kubernetes-istio-partial"}, nil},
		{"some sources", "    - to: [{operation: {notPaths", "    - from: [{source: {}}]\n      to: [{operation: {notPaths", []string{"kubernetes-istio-partial"}, nil},
		{"a host without its ports", `"app.example.com", "app.example.com:*"`, `"app.example.com"`, []string{"kubernetes-istio-hosts"}, nil},
		{"paths as they came", "normalization: DECODE_AND_MERGE_SLASHES", "normalization: NONE", threeTimes("kubernetes-path-cleaning"), nil},
		{"paths as they come by default", "    pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}\n", "", []string{"kubernetes-path-cleaning", "kubernetes-path-cleaning"}, nil},
		{"paths as they came by a filter", "early_header_mutation_extensions:", "path_with_escaped_slashes_action: KEEP_UNCHANGED\n            normalize_path: false\n            early_header_mutation_extensions:", []string{"kubernetes-path-cleaning", "kubernetes-path-cleaning"}, nil},
		{"all paths are asked about", "    - to: [{operation: {notPaths: [/healthz], hosts: [\"app.example.com\", \"app.example.com:*\"]}}]", "    - {}", nil, []string{"normalization: DECODE_AND_MERGE_SLASHES", "normalization: NONE", "regex: \".*[%;].*\"", "regex: \".*\""}},
		{"no refusal", `regex: ".*[%;].*"`, `regex: ".*[%].*"`, []string{"kubernetes-path-refusal"}, nil},
		{"a refusal of some requests", `{uri: {regex: ".*[%;].*"}}`, `{uri: {regex: ".*[%;].*"}, method: {exact: GET}}`, []string{"kubernetes-path-refusal"}, nil},
		{"a refusal that is none", "directResponse: {status: 404}", "directResponse: {status: 200}", []string{"kubernetes-path-refusal"}, nil},
		{"identity kept", "key_matcher: {prefix: remote}", "key_matcher: {prefix: other}", append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"aliases", "[{remove_on_match: {key_matcher: {prefix: remote}}}]", "[{remove: remote-user}, {remove: remote-groups}, {remove: remote-device}]", []string{"kubernetes-aliases"}, nil},
		{"a filter for other proxies", "workloadSelector: {labels: {app: edge}}", "workloadSelector: {labels: {app: other}}", append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"a filter of another namespace", "{name: gate, namespace: istio-system}", "{name: gate, namespace: other}", append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"a filter for the way out", "match: {context: GATEWAY}", "match: {context: SIDECAR_OUTBOUND}", append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"), nil},
		{"names removed behind the check", "- applyTo: NETWORK_FILTER\n      match: {context: GATEWAY}\n      patch:\n        operation: MERGE", "- applyTo: HTTP_FILTER\n      match: {listener: {filterChain: {filter: {subFilter: {name: envoy.filters.http.router}}}}}\n      patch:\n        operation: INSERT_BEFORE",
			append(threeTimes("kubernetes-identity-not-removed"), "kubernetes-aliases"),
			[]string{"early_header_mutation_extensions:\n              - typed_config: {mutations: [{remove_on_match: {key_matcher: {prefix: remote}}}]}", `"@type": any.HeaderMutation` + "\n            mutations: {request_mutations: [{remove_on_match: {key_matcher: {prefix: remote}}}]}"}},
		{"names removed before it", "- applyTo: NETWORK_FILTER\n      match: {context: GATEWAY}\n      patch:\n        operation: MERGE", "- applyTo: HTTP_FILTER\n      match: {context: GATEWAY}\n      patch:\n        operation: INSERT_FIRST", nil,
			[]string{"early_header_mutation_extensions:\n              - typed_config: {mutations: [{remove_on_match: {key_matcher: {prefix: remote}}}]}", `"@type": any.HeaderMutation` + "\n            mutations: {request_mutations: [{remove_on_match: {key_matcher: {prefix: remote}}}]}"}},
		{"identity of the route's", "- route: [{destination", "- headers: {request: {set: {Remote-User: x}}}\n      route: [{destination", []string{"kubernetes-identity-lost"}, nil},
		{"an open route without its prefix", "- route: [{destination", "- {match: [{uri: {prefix: /healthz}}], rewrite: {uri: /}, route: [{destination: {host: app}}]}\n    - route: [{destination", []string{"kubernetes-open-prefix-off"}, nil},
		{"a route to the check", "host: app, port: {number: 80}", "host: gate.auth.svc.cluster.local, port: {number: 9280}", []string{"kubernetes-check-reachable"}, nil},
		{"a provider that is not there", "provider: {name: gate}", "provider: {name: gat}", []string{"asks-nobody"}, nil},
	},
}

// httpRoute is a route of the Gateway API that is Traefik's, before another object of Traefik's group.
const httpRoute = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: third}\nspec:\n  hostnames: [third.example.com]\n  rules:\n" +
	"    - {backendRefs: [{name: third}], filters: [{type: ExtensionRef, extensionRef: {group: traefik.io, kind: Middleware, name: all}}]}\n---\napiVersion: traefik.io/v1alpha1\n"
