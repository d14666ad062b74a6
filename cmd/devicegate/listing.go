package main

import (
	"context"
	"net/url"
)

// listing prints what the administration lists: a table, or one object of JSON a line.
type listing[T any] struct {
	c     *cli
	table *table
	row   func(T) []cell
}

// print prints up to limit items (0: all) as their pages come.
func (l *listing[T]) print(ctx context.Context, a *admin, path string, query url.Values, limit int) error {
	err := eachPage(ctx, a, path, query, limit, func(items []T) (bool, error) { return true, l.page(items) })
	if err != nil {
		return err
	}
	return l.end()
}

func (l *listing[T]) page(items []T) error {
	if l.c.output == "json" {
		for _, item := range items {
			if err := l.c.printJSON(item); err != nil {
				return err
			}
		}
		return nil
	}
	for _, item := range items {
		l.table.add(l.row(item)...)
	}
	return l.table.flush()
}

// end prints the header where there was nothing to list.
func (l *listing[T]) end() error {
	if l.c.output == "json" {
		return nil
	}
	return l.table.end()
}
