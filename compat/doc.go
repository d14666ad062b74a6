// Package compat holds no code, only tests: a client written for django-trusted-devices meets this service,
// and every row of docs/migrating-from-django.md has the test that it names. The configuration of those tests
// is the one that the page tells people to write. A real Django, which scripts/django fetches, issues tokens that
// gates with real listeners let in and shut out.
package compat
