package api

// Operations returns "METHOD /path" of every route of the API and of the administration.
func Operations() []string {
	var s server
	var all []string
	for _, r := range append(s.routes(), s.adminRoutes(anybody(""))...) {
		all = append(all, r.method+" "+r.path)
	}
	return all
}
