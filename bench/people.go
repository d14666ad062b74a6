package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

const password = "a password for the length of one run"

// device is one sign-in: what a check shows, and what a removal names.
type device struct {
	UID   string `json:"device_uid"`
	Token string `json:"access"`
}

// person signs in and looks after devices through the API.
type person struct {
	api  string
	name string
	http *http.Client
}

func newPerson(api, name string) *person {
	return &person{api: "http://" + api, name: name, http: &http.Client{Transport: &http.Transport{}}}
}

func (p *person) signIn(ctx context.Context) (d device, err error) {
	body, _ := json.Marshal(map[string]string{"username": p.name, "password": password})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.api+"/api/token", bytes.NewReader(body))
	if err != nil {
		return d, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.http.Do(req)
	if err != nil {
		return d, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return d, err
	case resp.StatusCode != http.StatusOK:
		return d, fmt.Errorf("signing in %s: %s %s", p.name, resp.Status, answer)
	}
	return d, json.Unmarshal(answer, &d)
}

// remove ends one device from another one of the same person.
func (p *person) remove(ctx context.Context, by, target device) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, p.api+"/trusted-devices/"+target.UID, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+by.Token)
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("removing a device of %s: %s %s", p.name, resp.Status, text)
	}
	return nil
}

// crowd is people who sign in without pause until it is stopped.
type crowd struct {
	done    atomic.Int64 // sign-ins so far
	failed  atomic.Int64 // of them refused as busy, or worse
	cancel  context.CancelFunc
	members sync.WaitGroup
}

// gather starts the crowd and returns once the first of it has signed in: then the load is on.
func gather(ctx context.Context, people []*person) *crowd {
	ctx, cancel := context.WithCancel(ctx)
	c, first, once := &crowd{cancel: cancel}, make(chan struct{}), sync.Once{}
	for _, p := range people {
		c.members.Go(func() {
			for ctx.Err() == nil {
				if _, err := p.signIn(ctx); err == nil {
					c.done.Add(1)
				} else if ctx.Err() == nil {
					c.failed.Add(1)
				}
				once.Do(func() { close(first) })
			}
		})
	}
	select {
	case <-first:
	case <-ctx.Done():
	}
	return c
}

func (c *crowd) disperse() {
	c.cancel()
	c.members.Wait()
}
